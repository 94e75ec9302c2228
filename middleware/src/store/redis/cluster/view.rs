//! The view of one node: its answer to `CLUSTER NODES`.

use std::ops::RangeInclusive;

use super::{super::url::Host, slot::SLOTS};

/// The nodes of a cluster, as one of them knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    /// The id of the node that answered.
    pub(super) by: NodeId,
    pub(super) nodes: Vec<NodeView>,
}

/// The id of a node: it stays the same for its life.
pub(super) type NodeId = String;

/// One node in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeView {
    pub(super) id: NodeId,
    /// `None` while the address is not known, and for the node that answered: it knows its own address only if it was configured.
    pub(super) host: Option<Host>,
    /// The other address of the node: by its IP address or its host name. A redirection may have either form.
    pub(super) alias: Option<Host>,
    pub(super) is_master: bool,
    /// True if a majority of the masters cannot reach it.
    pub(super) has_failed: bool,
    /// The configuration epoch: the number of the election or move by which a master got its slots. A claim of a higher epoch replaces one of
    /// a lower epoch.
    pub(super) config_epoch: u64,
    pub(super) slots: Vec<RangeInclusive<u16>>,
}

impl View {
    /// Parses the answer of a node that was asked at an address.
    ///
    /// `by_name`: prefer the host name of a node to its IP address, for the certificate of TLS.
    pub(super) fn parse(answer: &str, asked: &Host, by_name: bool) -> Option<Self> {
        let mut by = None;
        let mut nodes = Vec::new();
        for line in answer.lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split(' ');
            let (id, address, flags) = (words.next()?, words.next()?, words.next()?);
            // The id of a replica's master, and the times of the last ping and pong.
            let mut words = words.skip(3);
            let config_epoch = words.next()?.parse().ok()?;
            let _link_state = words.next()?;
            // Slots that are being moved are in brackets: they belong to the node until the move has ended.
            let slots = words.filter(|word| !word.starts_with('[') && !word.is_empty());
            let slots = slots.map(range).collect::<Option<Vec<_>>>()?;
            let has_flag = |flag| flags.split(',').any(|known| known == flag);
            let addresses = if has_flag("noaddr") || has_flag("handshake") {
                None
            } else {
                parse_addresses(address, asked, by_name)
            };
            let (mut host, alias) = addresses.map_or((None, None), |(host, alias)| (Some(host), alias));
            if has_flag("myself") {
                by = Some(id.to_owned());
                host = None;
            }
            nodes.push(NodeView {
                id: id.to_owned(),
                host,
                alias,
                is_master: has_flag("master"),
                has_failed: has_flag("fail"),
                config_epoch,
                slots,
            });
        }
        Some(Self { by: by?, nodes })
    }
}

/// Parses `ip:port@bus-port[,host name[,…]]`: the address to connect to, and the other one. The IP address is empty if the node does not
/// know it.
fn parse_addresses(address: &str, asked: &Host, by_name: bool) -> Option<(Host, Option<Host>)> {
    let mut parts = address.split(',');
    let (address, name) = (parts.next()?, parts.next().unwrap_or_default());
    let (ip, port) = address.split('@').next()?.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let host = |name: &str| Host {
        name: name.to_owned(),
        port,
    };
    let by_ip = host(if ip.is_empty() { &asked.name } else { ip });
    if name.is_empty() {
        return Some((by_ip, None));
    }
    let by_host_name = host(name);
    Some(if by_name {
        (by_host_name, Some(by_ip))
    } else {
        (by_ip, Some(by_host_name))
    })
}

/// Parses `5` or `0-5460`.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < SLOTS).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host {
            name: name.to_owned(),
            port,
        }
    }

    fn parse(answer: &str, by_name: bool) -> Option<View> {
        View::parse(answer, &host("asked", 7000), by_name)
    }

    const ANSWER: &str = "\
aa :7000@17000 myself,master - 0 0 7 connected 0-99 200 [300->-bb] [301-<-bb]
bb 10.0.0.2:7001@17001,b.example,shard-id=1 master,fail? - 0 1 8 connected 100-199
cc ::1:7002@17002, slave bb 0 1 8 connected
dd :0@0 master,noaddr - 0 1 3 disconnected
ee :7004@17004 master - 0 1 4 connected
ff 10.0.0.6:7005@17005 master,fail - 0 1 2 disconnected
";

    #[test]
    fn answer_has_the_masters_with_their_epochs_and_slots() {
        let view = parse(ANSWER, false).unwrap();
        assert_eq!(view.by, "aa");
        let node = |place: usize| {
            let node: &NodeView = &view.nodes[place];
            (
                node.host.clone(),
                node.is_master,
                node.config_epoch,
                node.slots.clone(),
            )
        };
        assert_eq!(node(0), (None, true, 7, vec![0..=99, 200..=200]));
        assert_eq!(node(1), (Some(host("10.0.0.2", 7001)), true, 8, vec![100..=199]));
        assert_eq!(node(2), (Some(host("::1", 7002)), false, 8, vec![]));
        assert_eq!(node(3), (None, true, 3, vec![]));
        assert_eq!(node(4), (Some(host("asked", 7004)), true, 4, vec![]));
        assert_eq!(view.nodes[1].alias, Some(host("b.example", 7001)));
        let failed = |place: usize| view.nodes[place].has_failed;
        assert!(!failed(1) && failed(5), "fail? is only a suspicion");
        let by_name = parse(ANSWER, true).unwrap();
        assert_eq!(by_name.nodes[1].alias, Some(host("10.0.0.2", 7001)));
        assert_eq!(by_name.nodes[1].host, Some(host("b.example", 7001)));
        assert_eq!(by_name.nodes[2].host, Some(host("::1", 7002)));
    }

    #[test]
    fn answer_of_another_form_is_refused() {
        for answer in [
            "",
            "OK",
            "aa :7000@17000 master - 0 0 7 connected 0-99",
            "aa :7000@17000 myself,master - 0 0 x connected 0-99",
            "aa :7000@17000 myself,master - 0 0 7 connected 99-0",
            "aa :7000@17000 myself,master - 0 0 7 connected 0-16384",
        ] {
            assert_eq!(parse(answer, false), None, "{answer}");
        }
    }
}
