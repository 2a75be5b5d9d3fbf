//! Events as JSON lines, with the fields of their spans flattened into them.

use std::{cell::RefCell, io::Write};

use tracing::{Event, Subscriber, span};
use tracing_subscriber::{
    Layer,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::Context,
    registry::LookupSpan,
};

use crate::fields::{Fields, push};

thread_local! {
    static LINE: RefCell<Line> = RefCell::default();
}

/// Writes every event as one JSON object on one line.
#[derive(Debug)]
pub struct JsonLayer<W> {
    writer: W,
}

impl<W> JsonLayer<W> {
    /// Writes to what `writer` makes, one write a line.
    pub fn new(writer: W) -> Self {
        Self { writer }
    }
}

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let written = LINE.try_with(|line| {
            let mut line = line.try_borrow_mut().ok()?;
            self.write(line.of(event, &ctx), event);
            Some(())
        });
        // The thread is ending, or what was being written logs something itself.
        if !matches!(written, Ok(Some(()))) {
            self.write(Line::default().of(event, &ctx), event);
        }
    }
}

impl<W: for<'a> MakeWriter<'a>> JsonLayer<W> {
    fn write(&self, line: &[u8], event: &Event<'_>) {
        // There is nowhere to tell that the log cannot be written.
        self.writer.make_writer_for(event.metadata()).write_all(line).ok();
    }
}

/// A line, and what it takes to write one; the room is used again.
#[derive(Default)]
struct Line {
    text: Vec<u8>,
    /// When it is.
    now: String,
    /// The fields of the event.
    fields: Fields,
    /// The names that stand in the line: of several fields of a name, the
    /// innermost counts.
    names: Vec<&'static str>,
}

impl Line {
    /// The event with the fields of its spans, from the inside out.
    fn of<S: Subscriber + for<'a> LookupSpan<'a>>(
        &mut self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> &[u8] {
        let Self { text, now, fields, names } = self;
        let metadata = event.metadata();
        now.clear();
        // Writing to a string does not fail.
        SystemTime.format_time(&mut Writer::new(now)).ok();
        text.clear();
        text.extend(b"{\"timestamp\":");
        push(text, now.as_str());
        text.extend(b",\"level\":");
        push(text, metadata.level().as_str());
        text.extend(b",\"target\":");
        push(text, metadata.target());
        names.clear();
        names.extend(["timestamp", "level", "target"]);
        fields.clear();
        event.record(fields);
        append(text, names, fields);
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                append(text, names, fields);
            }
        }
        text.extend(b"}\n");
        text
    }
}

fn append(text: &mut Vec<u8>, names: &mut Vec<&'static str>, fields: &Fields) {
    for (name, field) in fields.iter() {
        if !names.contains(&name) {
            names.push(name);
            text.push(b',');
            text.extend_from_slice(field);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing::{error, info, info_span};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot create role")]
    struct CreateRole(#[source] std::fmt::Error);

    /// A writer whose lines can be read back.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = JsonLayer::new(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = lines.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        for line in text.lines() {
            for name in ["name", "level", "step"] {
                assert!(line.matches(&format!("\"{name}\":")).count() < 2, "{line}");
            }
        }
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn fields_of_all_spans_stand_at_the_top() {
        let lines = logged(|| {
            let request =
                info_span!("request", request_id = "r1", tenant_id = tracing::field::Empty);
            request.record("tenant_id", "acme");
            let _request = request.enter();
            let _operation = info_span!("operation", operation_id = "o1").entered();
            info!(rows = 3, "restored");
        });
        let line = &lines[0];
        assert_eq!(line["request_id"], "r1");
        assert_eq!(line["tenant_id"], "acme");
        assert_eq!(line["operation_id"], "o1");
        assert_eq!(line["rows"], 3);
        assert_eq!(line["message"], "restored");
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn an_error_is_logged_with_its_causes() {
        let error = CreateRole(std::fmt::Error);
        let lines = logged(|| error!(error = &error as &dyn std::error::Error, "failed"));
        let text = lines[0]["error"].as_str().unwrap();
        assert!(text.starts_with("cannot create role: "), "{text}");
    }

    #[test]
    fn of_several_fields_of_a_name_the_innermost_stands_once() {
        let lines = logged(|| {
            let outer = info_span!("request", name = "outer", level = "odd");
            let _outer = outer.enter();
            let inner = info_span!("operation", name = "inner", step = 1);
            inner.record("step", 2);
            let _inner = inner.enter();
            info!(kind = "first", "told");
            info!(name = "event", "told");
        });
        assert_eq!((&lines[0]["name"], &lines[0]["step"]), (&"inner".into(), &2.into()));
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[1]["name"], "event");
    }

    #[test]
    fn a_line_break_in_a_field_does_not_break_the_line() {
        let lines = logged(|| info!(user_agent = "a\nb\"c", "request"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["user_agent"], "a\nb\"c");
    }
}
