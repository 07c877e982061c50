//! From YAML text to trees with places.
//!
//! Promises: no text makes it panic, loop or use more memory than its limits allow; what is wrong with the YAML is
//! told with its place, and the documents before it are kept.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::fault::Fault;
use crate::source::Origin;
use crate::tree::{Data, Entry, Node, Scalar};

/// Deepest nesting.
const DEEPEST: usize = 48;
/// Most values of all files together, what aliases stand for included.
pub(crate) const MOST_NODES: usize = 1_000_000;
/// Most characters of a key.
const LONGEST_KEY: usize = 256;

/// Reads the documents of a file. `budget` is how many values there may still be.
pub(crate) fn documents(file: usize, text: &str, budget: &mut usize, faults: &mut Vec<Fault>) -> Vec<Node> {
    let mut builder =
        Builder { file, budget, faults, open: Vec::new(), anchors: BTreeMap::new(), documents: Vec::new() };
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let marker = *error.marker();
                let origin = Origin {
                    file,
                    start: marker.index(),
                    end: marker.index() + 1,
                    line: marker.line(),
                    column: marker.col() + 1,
                };
                stop(not_yaml(origin, error.info()))
            }
        };
        if let Err(fault) = step {
            builder.faults.push(fault.breaking_off());
            break;
        }
    }
    builder.documents
}

/// A list or mapping whose end has not been seen.
#[derive(Debug)]
struct Open {
    origin: Origin,
    anchor: usize,
    kind: OpenKind,
}

#[derive(Debug)]
enum OpenKind {
    List(Vec<Node>),
    /// Entries, and the key whose value comes next.
    Map(BTreeMap<String, Entry>, Option<Key>),
}

#[derive(Debug)]
struct Key {
    text: String,
    origin: Origin,
}

/// Nothing, or why reading ends here.
type Step = Result<(), Box<Fault>>;

fn stop(fault: Fault) -> Step {
    Err(Box::new(fault))
}

struct Builder<'a> {
    file: usize,
    budget: &'a mut usize,
    faults: &'a mut Vec<Fault>,
    open: Vec<Open>,
    /// Finished values by the number of their anchor, with how many values they hold.
    anchors: BTreeMap<usize, (Node, usize)>,
    documents: Vec<Node>,
}

impl Builder<'_> {
    fn origin(&self, span: Span) -> Origin {
        Origin {
            file: self.file,
            start: span.start.index(),
            end: span.end.index(),
            line: span.start.line(),
            column: span.start.col() + 1,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Step {
        let origin = self.origin(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                // Anchors are known within their document only.
                self.anchors.clear();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, origin),
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(1, origin)?;
                if tag.is_some() {
                    self.faults.push(no_tags(origin));
                }
                if self.expects_key() {
                    return self.key(text, style, origin);
                }
                let is_plain = style == ScalarStyle::Plain;
                let is_null = is_plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let data = if is_null {
                    Data::Null
                } else {
                    Data::Scalar(Scalar {
                        text: text.into_owned(),
                        is_plain,
                        is_expanded: false,
                        is_wrong: false,
                    })
                };
                self.finish(Node::new(origin, data), anchor, 1)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(origin, anchor, tag.is_some(), OpenKind::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(origin, anchor, tag.is_some(), OpenKind::Map(BTreeMap::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(origin),
        }
    }

    fn spend(&mut self, values: usize, origin: Origin) -> Step {
        *self.budget = self.budget.checked_sub(values).ok_or_else(|| {
            let fault = Fault::at(
                origin,
                format!("there are more than {MOST_NODES} values, counting what aliases repeat"),
            );
            Box::new(fault.hint("say what machines have in common once, in `defaults` or in a group"))
        })?;
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: OpenKind::Map(_, None), .. }))
    }

    fn key(&mut self, text: Cow<'_, str>, style: ScalarStyle, origin: Origin) -> Step {
        if style == ScalarStyle::Plain && text == "<<" {
            return stop(
                Fault::at(origin, "merge keys (`<<`) are not supported")
                    .hint("say what machines have in common in `defaults` or in a group"),
            );
        }
        if text.chars().count() > LONGEST_KEY {
            return stop(Fault::at(origin, format!("this key has more than {LONGEST_KEY} characters")));
        }
        if let Some(Open { kind: OpenKind::Map(_, key), .. }) = self.open.last_mut() {
            *key = Some(Key { text: text.into_owned(), origin });
        }
        Ok(())
    }

    fn begin(&mut self, origin: Origin, anchor: usize, tagged: bool, kind: OpenKind) -> Step {
        self.spend(1, origin)?;
        if self.expects_key() {
            return stop(Fault::at(origin, "a key must be a text"));
        }
        if self.open.len() >= DEEPEST {
            return stop(Fault::at(origin, format!("values are nested more than {DEEPEST} deep")));
        }
        if tagged {
            self.faults.push(no_tags(origin));
        }
        self.open.push(Open { origin, anchor, kind });
        Ok(())
    }

    fn end(&mut self, origin: Origin) -> Step {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let data = match open.kind {
            OpenKind::List(items) => Data::List(items),
            OpenKind::Map(entries, _) => Data::Map(entries),
        };
        let whole = Origin { end: origin.end.max(open.origin.end), ..open.origin };
        let node = Node::new(whole, data);
        let size = if open.anchor > 0 { count(&node) } else { 0 };
        self.finish(node, open.anchor, size)
    }

    fn alias(&mut self, anchor: usize, origin: Origin) -> Step {
        if self.expects_key() {
            return stop(Fault::at(origin, "a key must be a text, not an alias"));
        }
        let size = self.anchors.get(&anchor).map(|(_, size)| *size);
        let Some(size) = size else {
            return stop(Fault::at(origin, "this alias stands within the value that it stands for"));
        };
        self.spend(size, origin)?;
        let Some((node, _)) = self.anchors.get(&anchor) else { return Ok(()) };
        let node = node.clone();
        if self.open.len() + depth(&node) > DEEPEST {
            return stop(Fault::at(origin, format!("values are nested more than {DEEPEST} deep")));
        }
        self.finish(node, 0, 0)
    }

    /// Puts a finished value where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, size: usize) -> Step {
        if anchor > 0 {
            // It is kept twice from now on.
            self.spend(size, node.origin)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open { kind: OpenKind::List(items), .. }) => items.push(node),
            Some(Open { kind: OpenKind::Map(entries, key), .. }) => {
                let Some(key) = key.take() else { return Ok(()) };
                if let Some(first) = entries.get(&key.text) {
                    self.faults.push(
                        Fault::at(key.origin, format!("`{}` stands here twice", key.text))
                            .label("again")
                            .also_at(first.key, "first")
                            .hint("join the two, or remove one"),
                    );
                } else {
                    entries.insert(key.text, Entry { key: key.origin, node });
                }
            }
        }
        Ok(())
    }
}

fn not_yaml(origin: Origin, reason: &str) -> Fault {
    // The parser looks ahead, and may give up before the limit here is reached.
    if reason.contains("recursion limit") {
        return Fault::at(origin, "values are nested too deep");
    }
    Fault::at(origin, format!("this is not YAML: {reason}"))
        .hint("check the indentation and quotes here and on the line above")
}

fn no_tags(origin: Origin) -> Fault {
    Fault::at(origin, "tags such as `!!str` are not supported").hint("put a text into quotes instead")
}

/// How many values it holds, itself included.
pub(crate) fn count(node: &Node) -> usize {
    1 + match &node.data {
        Data::Null | Data::Scalar(_) => 0,
        Data::List(items) => items.iter().map(count).sum(),
        Data::Map(entries) => entries.values().map(|entry| count(&entry.node)).sum::<usize>(),
    }
}

/// How deep it is nested.
fn depth(node: &Node) -> usize {
    match &node.data {
        Data::Null | Data::Scalar(_) => 0,
        Data::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Data::Map(entries) => 1 + entries.values().map(|entry| depth(&entry.node)).max().unwrap_or(0),
    }
}
