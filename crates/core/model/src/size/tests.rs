use super::*;

#[test]
fn sizes_overflow_to_nothing_rather_than_to_something_small() {
    assert_eq!(ByteSize::gib(1), Some(ByteSize::bytes(1 << 30)));
    assert_eq!(ByteSize::mib(1), Some(ByteSize::bytes(1 << 20)));
    assert_eq!(ByteSize::gib(u64::MAX), None);
    assert_eq!(ByteSize::gib(1 << 34), None, "2^64 bytes is one too many");
    assert_eq!(ByteSize::gib((1 << 34) - 1).map(ByteSize::as_bytes), Some(((1 << 34) - 1) << 30));
    assert_eq!(ByteSize::mib(1 << 44), None);
}

#[test]
fn sizes_are_shown_in_the_largest_unit_that_is_exact() {
    for (bytes, shown) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1025, "1025 B"),
        (256 << 20, "256 MiB"),
        (3 << 29, "1536 MiB"),
        (100 << 30, "100 GiB"),
    ] {
        assert_eq!(ByteSize::bytes(bytes).to_string(), shown);
    }
    assert_eq!(ByteSize::bytes((5 << 20) + 1).as_mib(), 5, "rounded down");
}
