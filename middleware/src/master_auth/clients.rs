//! What is known about the addresses of clients: their failures, and who has proved the password.

use std::net::IpAddr;

use super::{ClientAddr, lockout::Lockout, queue::Standing};
use crate::{clock::Timestamp, recently_used::RecentlyUsed};

/// Seconds for which an address that sent the right password is preferred.
const PROVEN_FOR: u64 = 86_400;
/// Maximum number of such addresses. An attacker without the password cannot add one.
const MAX_PROVEN: usize = 1024;

/// Failures and proofs by client address. The caller passes the current time.
pub(super) struct Clients {
    pub(super) lockout: Lockout,
    /// The last proof of each address. It changes no count of failures.
    proofs: RecentlyUsed<IpAddr, Timestamp>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            lockout: Lockout::default(),
            proofs: RecentlyUsed::new(MAX_PROVEN),
        }
    }
}

impl Clients {
    /// Records that a client has sent the right password.
    pub(super) fn proved(&mut self, client: IpAddr, now: Timestamp) {
        self.proofs.put(ClientAddr(client).network(), now);
    }

    /// Forgets all proofs: the password was replaced.
    pub(super) fn forget_proofs(&mut self) {
        self.proofs = RecentlyUsed::new(MAX_PROVEN);
    }

    /// The place of a client in the queue. A proof from a time that the clock was set back from has ended.
    pub(super) fn standing(&mut self, client: IpAddr, now: Timestamp) -> Standing {
        let proof = self.proofs.get(&ClientAddr(client).network());
        Standing {
            proven: proof.is_some_and(|at| at <= now && now.since(at) < PROVEN_FOR),
            failures: self.lockout.failures(client, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_proof_lasts_a_day_and_changes_no_failures() {
        let mut clients = Clients::default();
        let (client, at) = (ip("192.0.2.1"), 1_000_000);
        clients.lockout.failed(client, Timestamp(at));
        clients.proved(client, Timestamp(at));
        for (now, proven, failures) in [
            (at - 1, false, 1),
            (at, true, 1),
            (at + PROVEN_FOR - 1, true, 0),
            (at + PROVEN_FOR, false, 0),
        ] {
            let standing = Standing { proven, failures };
            assert_eq!(clients.standing(client, Timestamp(now)), standing, "{now}");
        }
        assert_eq!(
            clients.standing(ip("192.0.2.2"), Timestamp(at)),
            Standing::default()
        );
        clients.proved(client, Timestamp(at));
        clients.forget_proofs();
        assert!(!clients.standing(client, Timestamp(at)).proven);
    }

    #[test]
    fn a_proof_is_that_of_an_ipv6_network() {
        let mut clients = Clients::default();
        clients.proved(ip("2001:db8::1"), Timestamp(1));
        assert!(clients.standing(ip("2001:db8::2"), Timestamp(1)).proven);
        assert!(!clients.standing(ip("2001:db8:0:1::1"), Timestamp(1)).proven);
    }

    #[test]
    fn the_number_of_proofs_is_bounded() {
        let mut clients = Clients::default();
        for n in 0..=u32::try_from(MAX_PROVEN).unwrap() {
            clients.proved(IpAddr::V4(std::net::Ipv4Addr::from_bits(n)), Timestamp(1));
        }
        assert_eq!(clients.proofs.iter().count(), MAX_PROVEN);
    }
}
