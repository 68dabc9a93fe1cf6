use std::time::Duration;

use super::*;

struct Story {
    began: Instant,
    records: Vec<Record>,
    object: Arc<Object>,
}

impl Story {
    fn new() -> Self {
        let object = Object { identity: (1, SystemTime::UNIX_EPOCH), path: "v/e1.img".into() };
        Self { began: Instant::now(), records: Vec::new(), object: Arc::new(object) }
    }

    fn opening(&self, host: &str, opening: u64, at: u64) -> Arc<Writer> {
        let opened = self.began + Duration::from_millis(at);
        Arc::new(Writer { host: host.to_owned(), opening, opened, process: format!("serve v {opening}") })
    }

    fn write(&mut self, writer: &Arc<Writer>, at: u64) {
        let (writer, object) = (Arc::clone(writer), Arc::clone(&self.object));
        let at = self.began + Duration::from_millis(at);
        self.records.push(Record { writer, object, offset: 0, length: 4096, at });
    }
}

#[test]
fn one_after_the_other_is_no_overlap_even_back_again() {
    let mut story = Story::new();
    let (first, second, back) = (story.opening("a", 1, 0), story.opening("b", 2, 20), story.opening("a", 3, 40));
    for (writer, at) in [(&first, 1), (&first, 9), (&second, 21), (&second, 29), (&back, 41)] {
        story.write(writer, at);
    }
    assert_eq!(overlaps(&story.records), Vec::<String>::new());
}

#[test]
fn a_late_write_after_anothers_first_is_one() {
    let mut story = Story::new();
    let (first, second) = (story.opening("a", 1, 0), story.opening("b", 2, 20));
    for (writer, at) in [(&first, 1), (&second, 21), (&first, 22)] {
        story.write(writer, at);
    }
    assert_eq!(overlaps(&story.records).len(), 1);
}

#[test]
fn a_write_after_another_host_opened_and_before_it_wrote_is_one() {
    let mut story = Story::new();
    let (first, second) = (story.opening("a", 1, 0), story.opening("b", 2, 20));
    for (writer, at) in [(&first, 1), (&first, 21), (&second, 22)] {
        story.write(writer, at);
    }
    assert_eq!(overlaps(&story.records).len(), 1);
}

#[test]
fn one_hosts_own_openings_do_not_overlap() {
    let mut story = Story::new();
    let (first, second) = (story.opening("a", 1, 0), story.opening("a", 2, 0));
    for (writer, at) in [(&first, 1), (&second, 2), (&first, 3)] {
        story.write(writer, at);
    }
    assert_eq!(overlaps(&story.records), Vec::<String>::new());
}

#[test]
fn a_lower_epoch_after_a_higher_is_an_overlap() {
    let epoch = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse().ok()).map(|n| ("v".to_owned(), n));
    let mut story = Story::new();
    let (first, second) = (story.opening("storage", 1, 0), story.opening("storage", 2, 0));
    for (writer, at) in [(&first, 1), (&second, 2)] {
        story.write(writer, at);
    }
    assert_eq!(epoch_overlaps(&story.records, epoch), Vec::<String>::new());
    story.write(&first, 3);
    assert_eq!(epoch_overlaps(&story.records, epoch).len(), 1);
}
