use super::*;

fn node(name: &str) -> NodeId {
    name.parse().expect("a node name")
}

fn life(name: &str) -> Incarnation {
    name.parse().expect("an incarnation")
}

const NOW: Timestamp = Timestamp::from_millis(1);

#[test]
fn a_claim_on_an_unheld_member_raises_the_epoch() {
    let mut binding = Binding::default();
    assert_eq!(binding.claim(&node("a"), &life("1"), NOW), Ok(Claimed::Won));
    assert_eq!(binding.epoch, Epoch::new(1));
    assert!(binding.unfenced.is_empty());
}

#[test]
fn a_stray_claim_never_evicts_a_holder() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    let before = binding.clone();
    let held = binding.claim(&node("b"), &life("1"), NOW).expect_err("held");
    assert!(matches!(held, Held::By { holder, epoch } if holder.node == node("a") && epoch == Epoch::new(1)));
    assert_eq!(binding, before);
}

#[test]
fn the_same_life_keeps_its_epoch() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    assert_eq!(binding.claim(&node("a"), &life("1"), NOW), Ok(Claimed::Kept));
    assert_eq!(binding.epoch, Epoch::new(1));
}

#[test]
fn a_new_life_of_the_node_proves_its_old_one_over() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    assert_eq!(binding.claim(&node("a"), &life("2"), NOW), Ok(Claimed::Won));
    assert_eq!(binding.epoch, Epoch::new(2));
    assert!(binding.unfenced.is_empty());
}

#[test]
fn an_assigned_node_takes_over_and_every_former_holder_stays_listed() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    binding.assigned = Some(node("b"));
    binding.claim(&node("b"), &life("1"), NOW).expect("assigned");
    binding.assigned = Some(node("c"));
    binding.claim(&node("c"), &life("1"), NOW).expect("assigned");
    let listed: Vec<_> = binding.unfenced.iter().map(|f| (f.node.clone(), f.epoch)).collect();
    assert_eq!(listed, [(node("a"), Epoch::new(1)), (node("b"), Epoch::new(2))]);
    assert!(!binding.publish(Epoch::new(3)), "not before all are fenced");
}

#[test]
fn a_name_is_not_published_under_a_former_epoch() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    binding.claim(&node("a"), &life("2"), NOW).expect("new life");
    assert!(!binding.publish(Epoch::new(1)));
    assert!(!binding.published);
    assert!(binding.publish(Epoch::new(2)));
}

#[test]
fn a_late_release_leaves_the_next_holder_alone() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    binding.claim(&node("a"), &life("2"), NOW).expect("new life");
    binding.release(Epoch::new(1));
    assert!(binding.holder.is_some());
    binding.release(Epoch::new(2));
    assert!(binding.holder.is_none());
}

#[test]
fn a_released_member_that_is_assigned_elsewhere_is_refused() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    binding.release(Epoch::new(1));
    binding.assigned = Some(node("b"));
    assert_eq!(binding.claim(&node("a"), &life("1"), NOW), Err(Held::For(node("b"))));
    assert_eq!(binding.claim(&node("b"), &life("1"), NOW), Ok(Claimed::Won));
}

#[test]
fn only_the_proven_are_taken_off_the_list() {
    let mut binding = Binding::default();
    binding.claim(&node("a"), &life("1"), NOW).expect("free");
    for next in ["b", "c"] {
        binding.assigned = Some(node(next));
        binding.claim(&node(next), &life("1"), NOW).expect("assigned");
    }
    binding.fenced(Epoch::new(2));
    let listed: Vec<_> = binding.unfenced.iter().map(|former| former.epoch).collect();
    assert_eq!(listed, [Epoch::new(1)]);
    binding.release(Epoch::new(1));
    assert!(binding.publish(Epoch::new(3)), "a former holder's own release is a proof too");
}
