//! Columns of a table in memory, and as words of 64 bits for a [`warm_image`](super::warm_image).

use bytemuck::{cast_slice, pod_collect_to_vec};
use bytes::Bytes;
use parquet::data_type::ByteArray;

/// The cells of one column, those that are there one after the other.
#[derive(Default)]
pub struct Cells<T> {
    pub values: Vec<T>,
    /// 1 for each that is there, 0 for each that is not; none where all must be.
    pub there: Vec<i16>,
}

/// One column.
pub enum Column {
    /// Ids: unsigned, 64 bits, always there.
    Ids(Vec<i64>),
    /// Unsigned, 32 bits.
    Numbers(Cells<i32>),
    /// Always there.
    Flags(Vec<bool>),
    /// UTF-8.
    Texts(Cells<ByteArray>),
}

impl<T> Cells<T> {
    pub fn push(&mut self, value: Option<T>) {
        self.there.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

impl Column {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        match self {
            Column::Ids(ids) => ids.len(),
            Column::Flags(flags) => flags.len(),
            Column::Numbers(cells) => cells.there.len(),
            Column::Texts(cells) => cells.there.len(),
        }
    }

    /// Its cells as words. Lengths come first, and every part begins with a word of its own.
    pub fn words(&self) -> Vec<u64> {
        match self {
            Column::Ids(ids) => cast_slice(ids).to_vec(),
            Column::Flags(flags) => [vec![flags.len() as u64], bits(flags.iter().copied())].concat(),
            Column::Numbers(cells) => [there(cells), pod_collect_to_vec(&cells.values)].concat(),
            Column::Texts(cells) => {
                let (mut ends, mut text) = (Vec::with_capacity(cells.values.len()), Vec::new());
                for value in &cells.values {
                    text.extend_from_slice(value.data());
                    ends.push(text.len() as u32);
                }
                let (ends, bytes) = (pod_collect_to_vec(&ends), pod_collect_to_vec(&text));
                [there(cells), vec![text.len() as u64], ends, bytes].concat()
            }
        }
    }

    /// The column that has these words, and is of the same kind as this one. None if they are not of such a
    /// column.
    pub fn of_words(&self, words: &[u64]) -> Option<Column> {
        let mut words = Words(words);
        let column = match self {
            Column::Ids(_) => Column::Ids(cast_slice(words.take(words.0.len())?).to_vec()),
            Column::Flags(_) => {
                let rows = words.length()?;
                Column::Flags(words.bits(rows)?.collect())
            }
            Column::Numbers(_) => {
                let (values, there) = words.there()?;
                let packed = cast_slice::<u64, i32>(words.take(values.div_ceil(2))?);
                Column::Numbers(Cells { values: packed[..values].to_vec(), there })
            }
            Column::Texts(_) => {
                let (values, there) = words.there()?;
                let length = words.length()?;
                let ends = &cast_slice::<u64, u32>(words.take(values.div_ceil(2))?)[..values];
                let bytes = cast_slice::<u64, u8>(words.take(length.div_ceil(8))?);
                let (text, mut begin) = (Bytes::copy_from_slice(&bytes[..length]), 0);
                let text = ends.iter().map(|end| {
                    let range = std::mem::replace(&mut begin, *end as usize)..*end as usize;
                    let is_in = range.start <= range.end && range.end <= text.len();
                    is_in.then(|| ByteArray::from(text.slice(range)))
                });
                Column::Texts(Cells { values: text.collect::<Option<_>>()?, there })
            }
        };
        words.0.is_empty().then_some(column)
    }
}

/// How many rows and values there are, and in which rows.
fn there<T>(cells: &Cells<T>) -> Vec<u64> {
    let lengths = vec![cells.there.len() as u64, cells.values.len() as u64];
    [lengths, bits(cells.there.iter().map(|there| *there > 0))].concat()
}

fn bits(flags: impl ExactSizeIterator<Item = bool>) -> Vec<u64> {
    let mut words = vec![0; flags.len().div_ceil(64)];
    flags.enumerate().filter(|(_, flag)| *flag).for_each(|(i, _)| words[i / 64] |= 1 << (i % 64));
    words
}

/// What is left to be read.
struct Words<'a>(&'a [u64]);

impl<'a> Words<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u64]> {
        let (taken, left) = self.0.split_at_checked(count)?;
        self.0 = left;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(*self.take(1)?.first()?).ok()
    }

    fn bits(&mut self, count: usize) -> Option<impl Iterator<Item = bool> + use<'a>> {
        let words = self.take(count.div_ceil(64))?;
        Some((0..count).map(move |i| words[i / 64] >> (i % 64) & 1 == 1))
    }

    /// See [`there`]: how many values there are, and in which rows.
    fn there(&mut self) -> Option<(usize, Vec<i16>)> {
        let (rows, values) = (self.length()?, self.length()?);
        let there: Vec<i16> = self.bits(rows)?.map(i16::from).collect();
        let count = there.iter().filter(|there| **there > 0).count();
        (count == values).then_some((values, there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells<T>(all: impl IntoIterator<Item = Option<T>>) -> Cells<T> {
        let mut cells = Cells { values: Vec::new(), there: Vec::new() };
        all.into_iter().for_each(|value| cells.push(value));
        cells
    }

    #[test]
    fn columns_come_back_from_their_words_and_from_no_part_of_them() {
        let texts = (0..150).map(|n| (n % 3 > 0).then(|| ByteArray::from("é".repeat(n % 7).as_str())));
        let columns = [
            Column::Ids(vec![-1, 0, i64::MAX]),
            Column::Flags((0..130).map(|n| n % 3 == 0).collect()),
            Column::Numbers(cells((0..133).map(|n| (n % 5 > 0).then_some(n - 60)))),
            Column::Texts(cells(texts)),
        ];
        for column in &columns {
            let words = column.words();
            let again = column.of_words(&words).expect("its own");
            assert_eq!(again.words(), words);
            match (column, &again) {
                (Column::Ids(a), Column::Ids(b)) => assert_eq!(a, b),
                (Column::Flags(a), Column::Flags(b)) => assert_eq!(a, b),
                (Column::Numbers(a), Column::Numbers(b)) => {
                    assert_eq!((&a.values, &a.there), (&b.values, &b.there));
                }
                (Column::Texts(a), Column::Texts(b)) => {
                    assert_eq!((&a.values, &a.there), (&b.values, &b.there));
                }
                _ => panic!("another kind"),
            }
            if !matches!(column, Column::Ids(_)) {
                for length in 0..words.len() {
                    assert!(column.of_words(&words[..length]).is_none(), "{length} words");
                }
                assert!(column.of_words(&[&words[..], &[0]].concat()).is_none());
            }
        }
    }
}
