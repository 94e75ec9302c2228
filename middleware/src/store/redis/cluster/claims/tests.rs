use super::{super::slot::Slot, *};

fn host(port: u16) -> Host {
    Host {
        name: "10.0.0.1".to_owned(),
        port,
    }
}

/// The view of node `by`: lines of id, role, epoch and slots, as in `a master 5 0-99`.
fn view(by: &str, lines: &[&str]) -> View {
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let (id, role, epoch) = (words[0], words[1], words[2]);
            let myself = if id == by { "myself," } else { "" };
            let port = 7000 + u16::from(id.as_bytes()[0] - b'a');
            let slots = words[3..].join(" ");
            format!("{id} 10.0.0.1:{port}@1,, {myself}{role} - 0 0 {epoch} connected {slots}")
        })
        .collect();
    View::parse(&text.join("\n"), &host(1), false).unwrap()
}

/// The views, of the nodes in the order of their ports.
fn views(views: &[View]) -> Views {
    let mut all = Views::default();
    for view in views {
        let port = 7000 + u16::from(view.by.as_bytes()[0] - b'a');
        all.add(host(port), view.clone(), Instant::now()).unwrap();
    }
    all
}

fn owner(claims: &Claims, slot: u16) -> Option<&str> {
    let place = claims.owners[Slot(slot).place()]?;
    Some(&claims.masters[usize::from(place)].id)
}

const BEFORE: [&str; 3] = ["a master 1 0-99", "b master 2 100-199", "c slave 0"];
const AFTER: [&str; 3] = ["a slave 0", "b master 2 100-199", "c master 3 0-99"];

#[test]
fn claim_of_the_highest_epoch_counts_in_any_order_of_answers() {
    let (old, new) = (view("a", &BEFORE), view("c", &AFTER));
    for order in [vec![old.clone(), new.clone()], vec![new, old]] {
        let claims = views(&order).merge();
        assert_eq!(
            owner(&claims, 50),
            Some("c"),
            "a was replaced and does not know it"
        );
        assert_eq!(owner(&claims, 150), Some("b"));
        assert_eq!(owner(&claims, 200), None);
        assert_eq!(claims.owners.iter().flatten().count(), 200);
    }
}

#[test]
fn master_without_slots_is_known_and_has_no_vote() {
    let lines = ["a master 1 0-99", "b master 2 100-199", "d master 9", "c slave 0"];
    let all = views(&[view("a", &lines)]);
    let claims = all.merge();
    let with_slots: Vec<_> = claims
        .masters
        .iter()
        .map(|master| (&*master.id, master.has_slots))
        .collect();
    assert_eq!(with_slots, [("a", true), ("b", true), ("d", false)]);
    assert_eq!(
        all.confirmed_at(&claims),
        None,
        "one of two masters is no majority"
    );
    assert!(
        views(&[view("a", &lines), view("b", &lines)])
            .confirmed_at(&claims)
            .is_some()
    );
}

#[test]
fn node_that_does_not_know_of_a_move_does_not_return_the_slot() {
    // b gave the slots to c in epoch 3, and then got epoch 4. a knows epoch 4, and does not know of the move.
    let a = view(
        "a",
        &["a master 1 0-99", "b master 4 100-199", "c master 2 200-299"],
    );
    let after = ["a master 1 0-99", "b master 4 100-149", "c master 3 150-299"];
    let all = views(&[a, view("b", &after), view("c", &after)]);
    assert_eq!(owner(&all.merge(), 150), Some("c"));
    assert_eq!(owner(&all.merge(), 149), Some("b"));
    // The view of the new owner has not arrived: the old one redirects.
    let before = view(
        "a",
        &["a master 1 0-99", "b master 4 100-199", "c master 2 200-299"],
    );
    let gave = view(
        "b",
        &["a master 1 0-99", "b master 4 100-149", "c master 2 200-299"],
    );
    assert_eq!(owner(&views(&[before, gave]).merge(), 150), Some("b"));
}

#[test]
fn failed_master_without_slots_is_no_master_and_one_without_address_hides_no_other() {
    let text = "a 10.0.0.1:7000@1 myself,master - 0 0 5 connected 0-99\n\
                b :0@0 master,fail,noaddr - 0 0 1 disconnected\n\
                c :0@0 master,noaddr - 0 0 2 disconnected 100-199";
    let view = View::parse(text, &host(1), false).unwrap();
    let claims = views(&[view]).merge();
    let found: Vec<_> = claims
        .masters
        .iter()
        .map(|master| (&*master.id, master.hosts.len()))
        .collect();
    assert_eq!(found, [("a", 1), ("c", 0)]);
    assert_eq!(owner(&claims, 150), Some("c"), "it cannot be reached");
}

#[test]
fn claims_are_confirmed_since_the_majority_was_asked() {
    let lines = [
        "a master 1 0-99",
        "b master 2 100-199",
        "c master 3 200-299",
        "d slave 0",
    ];
    let mut all = Views::default();
    let origin = Instant::now();
    let mut confirmed_by = |id: &str, seconds| {
        let sent = origin + Duration::from_secs(seconds);
        let port = 7000 + u16::from(id.as_bytes()[0] - b'a');
        let is_new = all.add(host(port), view(id, &lines), sent).unwrap();
        (
            is_new,
            all.confirmed_at(&all.merge()).map(|at| (at - origin).as_secs()),
        )
    };
    assert_eq!(confirmed_by("a", 1), (true, None));
    assert_eq!(confirmed_by("d", 2), (true, None), "a replica has no vote");
    assert_eq!(confirmed_by("b", 3), (true, Some(1)));
    assert_eq!(confirmed_by("b", 5), (false, Some(1)));
    assert_eq!(confirmed_by("a", 4), (true, Some(4)), "its own view was old");
    assert_eq!(
        confirmed_by("a", 2),
        (false, Some(4)),
        "an old answer arrives late"
    );
    assert!(!all.forget_before(origin));
    assert!(all.forget_before(origin + Duration::from_secs(3)));
}

#[test]
fn answer_to_an_earlier_question_at_another_address_does_not_replace_the_view() {
    let (mut all, origin) = (Views::default(), Instant::now());
    let asked_at = |seconds| origin + Duration::from_secs(seconds);
    let after = ["a master 1 0-49", "b master 2 50-199"];
    assert_eq!(all.add(host(7000), view("a", &after), asked_at(2)), Ok(true));
    assert_eq!(
        all.add(host(8000), view("a", &BEFORE), asked_at(1)),
        Ok(true),
        "a new address"
    );
    assert_eq!(owner(&all.merge(), 50), Some("b"));
    assert_eq!(all.merge().masters[0].hosts, [host(7000), host(8000)]);
    assert_eq!(all.add(host(8000), view("a", &BEFORE), asked_at(3)), Ok(true));
    assert_eq!(owner(&all.merge(), 50), Some("a"));
}

#[test]
fn node_of_another_cluster_is_refused_and_a_new_node_replaces_the_old_one_at_its_address() {
    let mut all = views(&[view("a", &BEFORE)]);
    let foreign = view("z", &["z master 99 0-16383"]);
    assert!(all.add(host(9000), foreign.clone(), Instant::now()).is_err());
    assert_eq!(owner(&all.merge(), 50), Some("a"));
    // The cluster was made anew at the same addresses.
    assert_eq!(all.add(host(7000), foreign, Instant::now()), Ok(true));
    assert_eq!(owner(&all.merge(), 50), Some("z"));
}

#[test]
fn addresses_are_those_that_others_name_and_then_those_that_answered() {
    let mut all = views(&[view("b", &BEFORE)]);
    let seed = Host {
        name: "localhost".to_owned(),
        port: 7000,
    };
    assert_eq!(
        all.add(seed.clone(), view("a", &BEFORE), Instant::now()),
        Ok(true)
    );
    assert_eq!(all.merge().masters[0].hosts, [host(7000), seed.clone()]);
    assert!(all.hosts().contains(&seed) && all.hosts().contains(&host(7002)));
    assert!(all.has_answer_of(&seed) && !all.has_answer_of(&host(7000)));
}
