//! Did you mean: the name that comes nearest to one that there is none of.

/// Most letters that a name may differ in: one of three, and no more than these.
const DIFFERENCE_MAX: usize = 3;

/// The nearest of `names`, unless all are far; capitals do not matter.
pub fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &word);
    let all = names.map(|name| (distance(name), name));
    let (distance, name) = all.min_by_key(|(distance, _)| *distance)?;
    let most = (word.chars().count() / 3).min(DIFFERENCE_MAX);
    (distance <= most).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = || ["patchwork-hello", "WRITE", "READ"].into_iter();
        assert_eq!(nearest("patchwork-helo", names()), Some("patchwork-hello"));
        assert_eq!(nearest("wirte", names()), Some("WRITE"));
        assert_eq!(nearest("something-else", names()), None);
        assert_eq!(nearest("x", [].into_iter()), None);
        // Half of a short name is another name.
        assert_eq!(nearest("nope", ["probe"].into_iter()), None);
        assert_eq!(nearest("ls", ["cs"].into_iter()), None);
        assert_eq!(nearest("rea", names()), Some("READ"));
    }
}
