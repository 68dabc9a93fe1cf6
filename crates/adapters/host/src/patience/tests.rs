//! Waiting for storage that hangs.

use std::sync::mpsc;

use super::*;

#[tokio::test]
async fn a_call_that_hangs_is_given_up_and_none_is_sent_after_it() {
    let patience = Patience { limit: Duration::from_millis(50), ..Patience::default() };
    let path = Path::new("/m");
    let (storage, answers) = mpsc::channel::<()>();
    let hung = patience.run(Kind::Mount, path, move |_| Ok(answers.recv().is_ok())).await.unwrap_err();
    assert_eq!(hung.kind, ErrorKind::TimedOut);
    let after = patience.run(Kind::Mount, path, |_| -> Result<()> { panic!("sent after one that hangs") });
    assert_eq!(after.await.unwrap_err().kind, ErrorKind::TimedOut);
    let elsewhere = patience.run(Kind::Mount, Path::new("/n"), |_| Ok("n")).await;
    let other_kind = patience.run(Kind::ShutDown, path, |_| Ok("m")).await;
    assert_eq!((elsewhere, other_kind), (Ok("n"), Ok("m")));
    storage.send(()).unwrap();
    assert_eq!(patience.run(Kind::Mount, path, |_| Ok("free again")).await, Ok("free again"));
}
