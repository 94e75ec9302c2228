//! The addresses of all listeners: no two of them may need the same port.

use std::net::{IpAddr, Ipv4Addr};

use super::Checks;
use crate::config::{ListenAddress, Settings};

/// Returns the addresses of `listen`.
pub(super) fn listen(settings: &Settings, checks: &mut Checks<'_>) -> Vec<ListenAddress> {
    let listen = settings.listen.clone();
    let listen = listen.unwrap_or_else(|| vec![ListenAddress::DEFAULT]);
    for (index, address) in listen.iter().enumerate() {
        match listen[..index].iter().find(|earlier| conflict(earlier, address)) {
            Some(earlier) if earlier == address => {
                checks.wrong("listen", format_args!("{address} is listed twice"));
            }
            Some(earlier) => {
                checks.wrong(
                    "listen",
                    format_args!("{earlier} and {address} need the same port"),
                );
            }
            None => {}
        }
    }
    // After a mistake in `listen`, its addresses are not known.
    if let Some(metrics) = settings.metrics_listen
        && !checks.errors.is_wrong("listen")
    {
        let metrics = ListenAddress::Ip(metrics.ip(), metrics.port());
        if let Some(address) = listen.iter().find(|address| conflict(address, &metrics)) {
            let listen = checks.origins.name("listen");
            let message = format!("needs another port than {address}, an address of {listen}");
            checks.wrong("metrics_listen", message);
        }
    }
    listen
}

/// True if two listeners cannot have these addresses. Port 0 stands for any free port.
///
/// `[::]` can include the addresses of IPv4. That depends on the system, so it is only found when the listener is opened.
fn conflict(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (ip(one), ip(other)) {
        (Some((one, port)), Some((other, other_port))) => {
            let same_family = one.is_ipv4() == other.is_ipv4();
            let overlap = one == other || (same_family && (one.is_unspecified() || other.is_unspecified()));
            port == other_port && port != 0 && overlap
        }
        _ => {
            let is_free_port = matches!(one, ListenAddress::Name(_, 0));
            one == other && !is_free_port
        }
    }
}

/// The IP address and the port. The name `localhost` is the loopback address (RFC 6761, section 6.3).
fn ip(address: &ListenAddress) -> Option<(IpAddr, u16)> {
    match address {
        ListenAddress::Ip(host, port) => Some((*host, *port)),
        ListenAddress::Name(name, port) if name.eq_ignore_ascii_case("localhost") => {
            Some((IpAddr::V4(Ipv4Addr::LOCALHOST), *port))
        }
        ListenAddress::Name(..) | ListenAddress::Unix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_conflict_if_they_need_the_same_port_of_the_same_address() {
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "10.0.0.1:80", true),
            ("0.0.0.0:0", "0.0.0.0:0", false),
            ("[::]:80", "[::1]:80", true),
            ("[::]:80", "0.0.0.0:80", false),
            ("[::1]:80", "127.0.0.1:80", false),
            ("localhost:80", "127.0.0.1:80", true),
            ("LocalHost:80", "0.0.0.0:80", true),
            ("localhost:0", "localhost:0", false),
            ("a.example:80", "a.example:80", true),
            ("a.example:0", "a.example:0", false),
            ("a.example:80", "127.0.0.1:80", false),
            ("unix:/run/a.sock", "unix:/run/a.sock", true),
            ("unix:/run/a.sock", "unix:/run/b.sock", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(conflict(&one, &other), expected, "{one} and {other}");
            assert_eq!(conflict(&other, &one), expected, "{other} and {one}");
        }
    }
}
