use super::*;

#[test]
fn a_process_is_found_by_its_words_and_killed() {
    let mut child = Command::new("sleep").args(["300", "0.0417"]).spawn().unwrap();
    let ours = || find("sleep", |words| words.get(2).is_some_and(|word| word == "0.0417")).unwrap();
    // The words are the program's only once it runs.
    while ours().is_empty() {
        pause();
    }
    assert_eq!(ours()[0].words[1], "300");
    assert!(find("sleepy", |_| true).unwrap().is_empty());
    let found = ours().remove(0);
    found.kill().unwrap();
    assert!(ours().is_empty(), "also before anybody has reaped it");
    found.kill().expect("killing again is done");
    child.wait().unwrap();
}

#[test]
fn what_a_program_says_on_failure_is_told() {
    let words = ["-c", "echo no room >&2; exit 1"].map(str::to_owned);
    let error = start("sh", "dash", &words, None, Duration::from_secs(5)).unwrap_err();
    assert!(error.detail == "no room", "{error}");
    let error = start("no-such-program", "some-package", &[], None, Duration::from_secs(5)).unwrap_err();
    assert!(error.next.unwrap().contains("some-package"));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = start("no-such-program", "some-package", &[], Some(socket), Duration::from_secs(5)).unwrap_err();
    assert!(error.next.unwrap().contains("some-package"));
    let words = ["-c", "sleep 100"].map(str::to_owned);
    let error = start("sh", "dash", &words, None, Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut);
}
