//! The name that was probably meant: the nearest by edits, for keys that a file misspells.

/// The nearest of `names` to `said`, if one is near enough to be meant: at most a third of its letters differ.
pub(super) fn nearest<'a>(said: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = names.map(|name| (distance(said, name), name)).min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, name)| distance.saturating_mul(3) <= name.chars().count().max(3))
        .map(|(_, name)| name)
}

/// How many letters are added, left out, changed or swapped with their neighbour between the two.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = (0..=to.len()).collect();
    let mut older: Option<(char, Vec<usize>)> = None;
    for (row, from) in (1..).zip(from.chars()) {
        let mut current = vec![row];
        for (column, letter) in to.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let left = at(&current, column).saturating_add(1);
            let above = at(&before, column.saturating_add(1)).saturating_add(1);
            let changed = at(&before, column).saturating_add(usize::from(from != *letter));
            let swapped = older.as_ref().map_or(usize::MAX, |(earlier, row)| {
                let neighbour =
                    column.checked_sub(1).and_then(|one| to.get(one).map(|letter| (one, *letter)));
                match neighbour {
                    Some((one, other)) if *earlier == *letter && from == other => {
                        at(row, one).saturating_add(1)
                    }
                    _ => usize::MAX,
                }
            });
            current.push(left.min(above).min(changed).min(swapped));
        }
        older = Some((from, std::mem::replace(&mut before, current)));
    }
    before.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_letters_added_left_out_changed_and_swapped() {
        for (from, to, distance) in
            [("", "", 0), ("", "abc", 3), ("listen", "lisen", 1), ("socket", "sokcet", 1), ("ca", "key", 3)]
        {
            assert_eq!(super::distance(from, to), distance, "{from} {to}");
        }
    }

    #[test]
    fn a_misspelt_name_finds_its_own_and_another_word_finds_none() {
        let names = ["front.listen", "front.limits.clients-max", "token.label"];
        assert_eq!(nearest("front.lisen", names.into_iter()), Some("front.listen"));
        assert_eq!(nearest("front.limits.client_max", names.into_iter()), Some("front.limits.clients-max"));
        assert_eq!(nearest("colour", names.into_iter()), None);
    }
}
