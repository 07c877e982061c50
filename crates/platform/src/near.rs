//! Words that look like another one, for "did you mean".

/// The candidate that looks most like `text`, if one does.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    let text = text.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&text, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

/// A hint about what was meant instead of a word: the nearest candidate, or all of them where they are few.
pub(crate) fn hint<'a>(text: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    const FEW: usize = 24;
    if let Some(nearest) = nearest(text, candidates.clone()) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    let all: Vec<String> = candidates.map(|candidate| format!("`{candidate}`")).collect();
    match all.len() {
        0 => None,
        1..=FEW => Some(format!("there is {}", all.join(", "))),
        many => Some(format!("there are {many}, among them {}", all[..4].join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_or_all_are_offered() {
        let words = ["networks", "machines", "roles"];
        assert_eq!(hint("machine", words.into_iter()).as_deref(), Some("did you mean `machines`?"));
        assert_eq!(
            hint("zzz", words.into_iter()).as_deref(),
            Some("there is `networks`, `machines`, `roles`")
        );
        assert_eq!(hint("zzz", std::iter::empty()), None);
    }
}
