//! Events: paged, followed, and not kept for ever.

use std::time::Duration;

use futures::StreamExt as _;
use om_model::EventKind;

use super::world::{Server, create, name, orders};
use crate::events::About;

#[tokio::test(start_paused = true)]
async fn pages_follow_one_another_without_gap_or_repetition() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(2).await;
            let (all, more) = server.control.events(None, None, 1000).await.expect("read");
            assert!(!more && all.len() > 10, "{}", all.len());
            assert!(all.is_sorted_by(|a, b| a.cursor < b.cursor && a.event.at <= b.event.at));
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let (page, more) = server.control.events(None, after.as_deref(), 3).await.expect("read");
                after = page.last().map(|event| event.cursor.clone());
                paged.extend(page);
                if !more {
                    break;
                }
            }
            assert_eq!(paged, all);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_service_has_its_own_story() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            let others = server.submit_as(&name("others"), create(1), None).await.expect("accepted");
            server.ended(&others.operation).await;
            let (events, _) = server.control.events(Some(&orders()), None, 1000).await.expect("read");
            assert!(events.iter().all(|event| event.event.service.as_ref() == Some(&orders())));
            let told = |kind| events.iter().filter(|event| event.event.kind == kind).count();
            assert_eq!(
                (told(EventKind::OperationAccepted), told(EventKind::Bound), told(EventKind::OperationEnded)),
                (1, 1, 1)
            );
            assert_eq!(events[0].event.message, "create orders accepted");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_gets_what_comes_from_where_they_were() {
    let server = Server::new();
    for text in ["one", "two"] {
        server.control.note(EventKind::Repaired, About::default(), text.into()).await;
    }
    let (first, _) = server.control.events(None, None, 1).await.expect("read");
    let from = Some(first[0].cursor.clone());
    let mut later = server.control.follow_events(None, from).await.expect("followed");
    assert_eq!(later.next().await.expect("there").expect("read").event.message, "two");
    server.pass(Duration::from_millis(5)).await;
    let mut from_now = server.control.follow_events(None, None).await.expect("followed");
    server.control.note(EventKind::Repaired, About::default(), "three".into()).await;
    for follower in [&mut later, &mut from_now] {
        assert_eq!(follower.next().await.expect("there").expect("read").event.message, "three");
    }
}

#[tokio::test(start_paused = true)]
async fn old_events_are_removed_and_the_newest_kept() {
    let server = Server::new();
    for number in 1..=10_500 {
        server.control.note(EventKind::MemberChanged, About::default(), format!("number {number}")).await;
    }
    let kept = server.keys_under("events/").await.len();
    assert_eq!(kept, 10_000);
    let (oldest, _) = server.control.events(None, None, 1).await.expect("read");
    assert_eq!(oldest[0].event.message, "number 501");
}
