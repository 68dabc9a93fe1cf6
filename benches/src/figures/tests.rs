use super::Figures;

#[test]
fn nearest_ranks_and_medians() {
    let figures = Figures::of((1..=20).rev().map(f64::from)).expect("measurements");
    assert_eq!(figures.median(), 10.5);
    assert_eq!(figures.percentile(95), 19.0);
    assert_eq!(figures.percentile(99), 20.0);
    assert_eq!(figures.range(), (1.0, 20.0));
    let one = Figures::of([7.0]).expect("a measurement");
    assert_eq!((one.median(), one.percentile(0), one.percentile(99)), (7.0, 7.0, 7.0));
    assert!(Figures::of([]).is_err());
}
