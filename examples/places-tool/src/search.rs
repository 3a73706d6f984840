//! Search by name: exact before prefix before start of a word before anywhere.

use crate::cities::{Cities, City};
use crate::fold::{fold, transliterate};

/// The best `limit` places for the text that a user typed, best first.
pub(crate) fn search<'a>(cities: &'a Cities, query: &str, limit: usize) -> Vec<&'a City> {
    let folded = fold(query);
    let latin = transliterate(&folded);
    let needles: Vec<&str> =
        [Some(folded.as_str()), latin.as_deref()].into_iter().flatten().filter(|text| !text.is_empty()).collect();
    let mut found: Vec<(Rank, &City)> = cities
        .iter()
        .filter_map(|city| Some((needles.iter().filter_map(|needle| rank(city, needle)).min()?, city)))
        .collect();
    // The name and the place settle ties, so that one query has one answer.
    found.sort_unstable_by(|(left, a), (right, b)| {
        left.cmp(right)
            .then_with(|| b.names_region.cmp(&a.names_region))
            .then_with(|| b.crowd.cmp(&a.crowd))
            .then_with(|| a.folded.len().cmp(&b.folded.len()))
            .then_with(|| a.folded.cmp(&b.folded))
            .then_with(|| a.lat.total_cmp(&b.lat).then_with(|| a.lon.total_cmp(&b.lon)))
    });
    found.truncate(limit);
    found.into_iter().map(|(_, city)| city).collect()
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Exact,
    Prefix,
    StartOfWord,
    Inside,
}

fn rank(city: &City, needle: &str) -> Option<Rank> {
    let at = city.folded.find(needle)?;
    Some(match at {
        0 if city.folded.len() == needle.len() => Rank::Exact,
        0 => Rank::Prefix,
        _ if city.folded.match_indices(needle).any(|(at, _)| starts_word(&city.folded, at)) => Rank::StartOfWord,
        _ => Rank::Inside,
    })
}

fn starts_word(text: &str, at: usize) -> bool {
    text.get(..at).and_then(|before| before.chars().next_back()).is_none_or(|before| !before.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cities: &Cities, query: &str, limit: usize) -> Vec<String> {
        search(cities, query, limit).iter().map(|city| format!("{} {}", city.name, city.country)).collect()
    }

    fn some() -> Cities {
        Cities::for_test(&[
            ("Filisofia", 1.0, 1.0, "XX", ""),
            ("Santa Sofia", 43.9, 11.9, "IT", ""),
            ("Sofiivka", 48.0, 33.9, "UA", ""),
            ("Sofia", 42.69, 23.32, "BG", "42"),
            ("Berlin", 40.0, -74.0, "US", ""),
            ("Berlinville", 40.1, -74.1, "US", ""),
            ("Berlin", 52.5, 13.4, "DE", "16"),
            ("São Paulo", -23.5, -46.6, "BR", ""),
            ("Йовково", 43.8, 28.1, "BG", ""),
            ("Иовково", 43.8, 28.2, "BG", ""),
        ])
    }

    #[test]
    fn exact_then_prefix_then_word_then_inside() {
        assert_eq!(names(&some(), "sofia", 9), ["Sofia BG", "Santa Sofia IT", "Filisofia XX"]);
        assert_eq!(names(&some(), "sofi", 9), ["Sofia BG", "Sofiivka UA", "Santa Sofia IT", "Filisofia XX"]);
        assert_eq!(names(&some(), "SOFI", 2).len(), 2);
    }

    #[test]
    fn the_city_that_its_region_is_named_after_comes_first() {
        assert_eq!(names(&some(), "berlin", 1), ["Berlin DE"]);
    }

    #[test]
    fn diacritics_and_cyrillic() {
        assert_eq!(names(&some(), "sao pau", 9), ["São Paulo BR"]);
        assert_eq!(names(&some(), "SÃO", 9), ["São Paulo BR"]);
        assert_eq!(names(&some(), "София", 1), ["Sofia BG"]);
        assert_eq!(names(&some(), "йовк", 9), ["Йовково BG"], "й is not и");
    }

    #[test]
    fn nothing_to_look_for_finds_nothing() {
        assert!(names(&some(), " - ", 9).is_empty());
        assert!(names(&some(), "zzz", 9).is_empty());
    }
}
