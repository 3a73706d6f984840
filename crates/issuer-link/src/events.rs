//! The feed's events, from its lines (WHATWG HTML, "Interpreting an event stream").

use bmap_protocol::link::{CHANGE_EVENT, Change, Mark, SYNC_EVENT};

/// Most bytes of an event's data.
pub(crate) const MAX_EVENT: usize = 64 << 10;

/// An event that a link knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Change(Change),
    Sync(Mark),
}

/// An event that is not in its form, or too long: what it said is lost, so the state has to be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Lines of the event that is on its way.
#[derive(Debug, Default)]
pub(crate) struct Events {
    name: String,
    data: Vec<u8>,
}

impl Events {
    /// Takes a line; the event that it completes. Comments, other fields and events of other names are left out.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<Option<Event>, Malformed> {
        if line.is_empty() {
            let Self { name, data } = std::mem::take(self);
            return match name.as_str() {
                CHANGE_EVENT => serde_json::from_slice(&data).map(Event::Change).map(Some).map_err(|_| Malformed),
                SYNC_EVENT => serde_json::from_slice(&data).map(Event::Sync).map(Some).map_err(|_| Malformed),
                _ => Ok(None),
            };
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at_checked(colon).unwrap_or((line, b""));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => String::from_utf8_lossy(value).as_ref().clone_into(&mut self.name),
            b"data" => {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                if self.data.len() > MAX_EVENT {
                    return Err(Malformed);
                }
            }
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::link::ChangeKind;

    fn read(text: &str) -> Vec<Result<Event, Malformed>> {
        let mut events = Events::default();
        text.split('\n').filter_map(|line| events.line(line.as_bytes()).transpose()).collect()
    }

    #[test]
    fn events_are_read_and_the_rest_is_left_out() {
        let change = r#"{"cursor":7,"kind":"user","id":"usr_1","until":9}"#;
        let text = format!(
            ": hello\n\nid: 7\nevent: change\ndata: {change}\n\nevent:sync\ndata:{{\"cursor\":7,\ndata:\"server_time\":5}}\n\n\
             event: other\ndata: x\n\nretry: 5\n\ndata: {change}\n\nevent: change\ndata: {{"
        );
        let read = read(&text);
        assert!(matches!(&read[0], Ok(Event::Change(change)) if change.kind == ChangeKind::User && change.cursor == 7));
        assert_eq!(read[1], Ok(Event::Sync(Mark { cursor: 7, server_time: 5 })));
        assert_eq!(read.len(), 2, "{read:?}");
    }

    #[test]
    fn an_event_that_can_not_be_read_is_not_passed_over() {
        for text in [
            "event: change\ndata: {\n\n",
            "event: change\ndata: {\"cursor\":1,\"kind\":\"new-kind\",\"id\":\"\",\"until\":0}\n\n",
            "event: change\n\n",
            "event: sync\ndata: 5\n\n",
        ] {
            assert_eq!(read(text), [Err(Malformed)], "{text}");
        }
        let line = format!("data: {}", "x".repeat(MAX_EVENT));
        assert_eq!(read(&format!("{line}\n{line}\n")), [Err(Malformed)], "over the bound");
    }
}
