//! Many rows in one statement.

/// Rows of one statement: a few sizes, so that the engine has few statements to prepare.
const SIZES: [usize; 7] = [64, 32, 16, 8, 4, 2, 1];

/// The rows in portions of those sizes.
pub(crate) fn portions<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let (now, later) = rows.split_at(size);
        rows = later;
        Some(now)
    })
}

/// `($1, $2), ($3, $4)`: places for so many rows. Nothing but numbers is put into the text.
pub(crate) fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let first = row.saturating_mul(columns).saturating_add(1);
        let places: Vec<String> = (first..first.saturating_add(columns)).map(|place| format!("${place}")).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_place() {
        assert_eq!(places(2, 3), "($1, $2, $3), ($4, $5, $6)");
        let rows: Vec<u8> = (0..87).collect();
        assert_eq!(portions(&rows).map(<[u8]>::len).collect::<Vec<_>>(), [64, 16, 4, 2, 1]);
        assert_eq!(portions(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(portions::<u8>(&[]).count(), 0);
    }
}
