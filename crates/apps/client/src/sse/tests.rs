//! Events come out whole however the bytes are cut.

use super::*;

const TEXT: &str = ": hello\n\nid: 7\nevent: step\ndata: {\"a\":\r\ndata:  1}\r\n\r\ndata\n\nid: 8\n\ndata: ü\n\n";

#[test]
fn events_come_out_whole_however_the_bytes_are_cut() {
    let event = |id: Option<&str>, kind: &str, data: &str| SseEvent {
        id: id.map(str::to_owned),
        kind: kind.into(),
        data: data.into(),
    };
    let expected = vec![event(Some("7"), "step", "{\"a\":\n 1}"), event(None, "", ""), event(None, "", "ü")];
    for size in 1..TEXT.len() {
        let mut parser = Parser::default();
        let found: Vec<_> =
            TEXT.as_bytes().chunks(size).flat_map(|piece| parser.feed(piece).expect("short lines")).collect();
        assert_eq!(found, expected, "pieces of {size}");
    }
}

#[test]
fn an_endless_line_is_refused() {
    let mut parser = Parser::default();
    let piece = vec![b'x'; 1 << 20];
    assert!((0..64).any(|_| parser.feed(&piece).is_err()));
}
