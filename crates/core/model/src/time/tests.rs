use super::*;

#[test]
fn time_neither_overflows_nor_runs_backwards() {
    let (early, late) = (Timestamp::from_millis(1000), Timestamp::from_millis(4000));
    assert_eq!(late.since(early), Duration::from_secs(3));
    assert_eq!(early.since(late), Duration::ZERO);
    assert_eq!(early.plus(Duration::from_secs(3)), late);
    assert_eq!(early.plus(Duration::MAX).as_millis(), u64::MAX);
}
