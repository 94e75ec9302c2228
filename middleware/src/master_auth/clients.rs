//! Failures and verified passwords of each client address.

use std::net::IpAddr;

use super::{ClientAddr, lockout::Lockout, password::PasswordId, queue::ClientStatus};
use crate::{clock::Timestamp, recently_used::RecentlyUsed};

/// Seconds for which an address that sent the right password is preferred.
const PREFERRED_FOR: u64 = 86_400;
/// Maximum number of such addresses. An attacker without the password cannot add one.
const MAX_PREFERRED: usize = 1024;

/// Failures and verified passwords by client address. The caller passes the current time.
pub(super) struct Clients {
    pub(super) lockout: Lockout,
    /// The password that each address has sent last. It changes no count of failures.
    verified: RecentlyUsed<IpAddr, VerifiedPassword>,
}

/// A right password of a client.
#[derive(Clone, Copy)]
struct VerifiedPassword {
    password: PasswordId,
    at: Timestamp,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            lockout: Lockout::default(),
            verified: RecentlyUsed::new(MAX_PREFERRED),
        }
    }
}

impl Clients {
    /// Records that a client has sent this password, and that it was right.
    pub(super) fn verified(&mut self, client: IpAddr, password: PasswordId, now: Timestamp) {
        let verified = VerifiedPassword { password, at: now };
        self.verified.put(ClientAddr(client).network(), verified);
    }

    /// The status of a client. Only the given password counts, so a replaced password ends the preference of all clients.
    ///
    /// A proof later than `now` is ignored: the clock was set back.
    pub(super) fn status(&mut self, client: IpAddr, password: PasswordId, now: Timestamp) -> ClientStatus {
        let verified = self.verified.get(&ClientAddr(client).network());
        ClientStatus {
            verified_recently: verified.is_some_and(|verified| {
                verified.password == password && verified.at <= now && now.since(verified.at) < PREFERRED_FOR
            }),
            failures: self.lockout.failures(client, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: PasswordId = PasswordId::of_test(1);
    const OTHER: PasswordId = PasswordId::of_test(2);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_verified_password_lasts_a_day_and_changes_no_failures() {
        let mut clients = Clients::default();
        let (client, at) = (ip("192.0.2.1"), 1_000_000);
        clients.lockout.failed(client, Timestamp(at));
        clients.verified(client, PASSWORD, Timestamp(at));
        for (now, verified_recently, failures) in [
            (at - 1, false, 1),
            (at, true, 1),
            (at + PREFERRED_FOR - 1, true, 0),
            (at + PREFERRED_FOR, false, 0),
        ] {
            let status = ClientStatus {
                verified_recently,
                failures,
            };
            assert_eq!(clients.status(client, PASSWORD, Timestamp(now)), status, "{now}");
        }
        let other = clients.status(ip("192.0.2.2"), PASSWORD, Timestamp(at));
        assert_eq!(other, ClientStatus::default());
    }

    /// A request can verify the password that is replaced at this moment, and record it later.
    #[test]
    fn a_replaced_password_does_not_count_for_the_new_one() {
        let mut clients = Clients::default();
        let client = ip("192.0.2.1");
        clients.verified(client, PASSWORD, Timestamp(1));
        let is_preferred = |clients: &mut Clients, password| {
            clients.status(client, password, Timestamp(1)).verified_recently
        };
        assert!(is_preferred(&mut clients, PASSWORD));
        assert!(!is_preferred(&mut clients, OTHER));
        clients.verified(client, OTHER, Timestamp(1));
        assert!(is_preferred(&mut clients, OTHER));
    }

    #[test]
    fn a_verified_password_is_that_of_an_ipv6_network() {
        let mut clients = Clients::default();
        clients.verified(ip("2001:db8::1"), PASSWORD, Timestamp(1));
        for (client, verified_recently) in [("2001:db8::2", true), ("2001:db8:0:1::1", false)] {
            let status = clients.status(ip(client), PASSWORD, Timestamp(1));
            assert_eq!(status.verified_recently, verified_recently, "{client}");
        }
    }

    #[test]
    fn the_number_of_verified_passwords_is_bounded() {
        let mut clients = Clients::default();
        for n in 0..=u32::try_from(MAX_PREFERRED).unwrap() {
            let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
            clients.verified(client, PASSWORD, Timestamp(1));
        }
        assert_eq!(clients.verified.iter().count(), MAX_PREFERRED);
    }
}
