//! Chooses the object that a name means. Pure.

use crate::error::{Error, Failure, Result};
use crate::kind::Kind;
use crate::near::nearest;
use crate::object::Object;

/// Candidates that are listed when a name is ambiguous.
const SHOWN: usize = 10;

/// The one object with a name.
pub(super) fn pick<'a>(kind: &Kind, name: &str, objects: &'a [Object]) -> Result<&'a Object> {
    let found: Vec<&Object> = objects.iter().filter(|object| object.name() == name).collect();
    match found.as_slice() {
        [object] => Ok(object),
        [] => Err(not_found(kind, name, objects)),
        several => Err(ambiguous(kind, name, several)),
    }
}

fn not_found(kind: &Kind, name: &str, objects: &[Object]) -> Error {
    let error = Error::new(Failure::NotFound, format!("there is no {} `{name}`", kind.name));
    let near = nearest(name, objects.iter().map(Object::name));
    match near.as_slice() {
        [] if objects.is_empty() => error.hint(format!("there are no {} here", kind.plural)),
        [] => error.hint(format!("see them with `freehold get {}`", kind.name)),
        near => error.hint(format!("did you mean `{}`?", near.join("`, `"))),
    }
}

fn ambiguous(kind: &Kind, name: &str, several: &[&Object]) -> Error {
    let mut error = Error::usage(format!("{} {} have the name `{name}`", several.len(), kind.plural))
        .hint("name the one you mean by its id:");
    for object in several.iter().take(SHOWN) {
        let description = object.at("description").as_str().unwrap_or_default();
        let made = object.created_at().map(|at| at.date().to_string()).unwrap_or_default();
        error = error.hint(format!("{}  made {made}  {description}", object.id()).trim_end().to_owned());
    }
    if several.len() > SHOWN {
        error = error.hint(format!("and {} more", several.len() - SHOWN));
    }
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::find;

    fn object(number: u64, name: &str, description: &str) -> Object {
        let id = freehold_types::Id::from_u64(number << 32);
        Object::from_json(json!({ "id": id, "name": name, "description": description })).unwrap()
    }

    fn told(error: &Error) -> String {
        let mut stream = anstream::StripStream::new(Vec::new());
        error.tell(&mut stream).unwrap();
        String::from_utf8(stream.into_inner()).unwrap()
    }

    #[test]
    fn one_is_found() {
        let objects = [object(1, "web", "a"), object(2, "db", "b")];
        let kind = find("compute").unwrap();
        assert_eq!(pick(kind, "db", &objects).unwrap().at("description"), "b");
    }

    #[test]
    fn faults_help_on() {
        let kind = find("compute").unwrap();
        let objects = [object(1, "web-1", ""), object(2, "web-2", "the old one"), object(3, "web-1", "blue")];
        let mut all = Vec::new();
        for (name, objects) in [("web-1", &objects[..]), ("wbe-1", &objects), ("zzz", &objects), ("web", &[])]
        {
            all.push(format!("{name}:\n{}\n", told(&pick(kind, name, objects).unwrap_err())));
        }
        insta::assert_snapshot!(all.concat());
    }
}
