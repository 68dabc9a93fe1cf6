//! Tests of the cutting into lines.

use bytes::Bytes;
use futures::executor::block_on;

use super::*;

fn read(pieces: Vec<std::result::Result<LogOutput, Error>>) -> Vec<Result<LogLine>> {
    block_on(lines("x".to_owned(), stream::iter(pieces)).collect())
}

fn out(text: &'static str) -> std::result::Result<LogOutput, Error> {
    Ok(LogOutput::StdOut { message: Bytes::from_static(text.as_bytes()) })
}

fn err(text: &'static str) -> std::result::Result<LogOutput, Error> {
    Ok(LogOutput::StdErr { message: Bytes::from_static(text.as_bytes()) })
}

#[test]
fn pieces_become_lines_and_the_outputs_do_not_mix() {
    let found = read(vec![out("one\ntw"), err("bad\n"), out("o\r\n\nlast")]);
    let found: Vec<_> = found.into_iter().map(|line| line.map(|line| (line.stderr, line.text)).unwrap()).collect();
    let expected = [(false, "one"), (true, "bad"), (false, "two"), (false, ""), (false, "last")];
    assert_eq!(found, expected.map(|(stderr, text)| (stderr, text.to_owned())));
}

#[test]
fn a_failure_is_handed_on_after_what_came_before_it() {
    let found = read(vec![out("one\ntw"), Err(Error::RequestTimeoutError), out("never\n")]);
    assert_eq!(found.len(), 3);
    assert!(found[0].is_ok() && found[1].is_ok() && found[2].is_err());
}

#[test]
fn an_endless_line_is_cut() {
    let long: &'static str = Box::leak("x".repeat(LINE_MAX + 5).into_boxed_str());
    let found = read(vec![out(long)]);
    assert_eq!(found.iter().map(|line| line.as_ref().unwrap().text.len()).collect::<Vec<_>>(), [LINE_MAX, 5]);
}
