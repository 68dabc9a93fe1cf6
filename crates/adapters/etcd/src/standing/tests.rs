//! The order over answers and failures.

use std::time::Duration;

use tokio::time::Instant;

use super::{FRESH, Standing};

#[test]
fn the_local_member_is_first_then_the_one_that_answered() {
    let mut standing = Standing::new(&[false, false, true]);
    assert_eq!(standing.order(), [2, 0, 1]);
    standing.reached(1);
    assert_eq!(standing.order(), [1, 2, 0]);
    standing.failed(1);
    assert_eq!(standing.order(), [2, 0, 1]);
    standing.failed(0);
    assert_eq!(standing.order(), [2, 1, 0]);
}

#[test]
fn only_the_leaders_answer_is_fresh_and_not_for_long() {
    let (mut standing, now) = (Standing::new(&[false; 3]), Instant::now());
    assert_eq!(standing.fresh(now), None);
    standing.reached(1);
    assert_eq!(standing.fresh(now), None);
    standing.answered(1, now);
    assert_eq!(standing.fresh(now), Some(1));
    assert_eq!(standing.fresh(now + FRESH), None);
    // Another one's failure changes nothing for it; its own does.
    standing.failed(2);
    assert_eq!(standing.fresh(now + Duration::from_millis(1)), Some(1));
    standing.failed(1);
    assert_eq!(standing.fresh(now), None);
    // One that has merely been reached does not inherit the former's freshness.
    standing.answered(0, now);
    standing.reached(2);
    assert_eq!(standing.fresh(now), None);
}
