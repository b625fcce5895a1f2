//! Finding ids in ascending lists of them.

/// What two ascending lists share: its places in both. The longer one is sought in.
pub fn shared<I: Copy + Ord + Into<u64>>(one: &[I], other: &[I], mut each: impl FnMut(usize, usize)) {
    let is_shorter = one.len() <= other.len();
    let (short, long) = if is_shorter { (one, other) } else { (other, one) };
    let mut at = 0;
    for (i, id) in short.iter().enumerate() {
        at = seek(long, at, id);
        match long.get(at) {
            Some(there) if there == id => {
                if is_shorter {
                    each(i, at);
                } else {
                    each(at, i);
                }
            }
            Some(_) => {}
            None => break,
        }
    }
}

/// First position at or after `at` whose key is not less than `key`. Ids are hashes, so evenly spread: it
/// guesses the place from the distance, which is rarely further off than the next cache line, and gallops from
/// there.
pub fn seek<K: Copy + Ord + Into<u64>>(keys: &[K], at: usize, key: &K) -> usize {
    let rest = &keys[at..];
    let (Some(first), Some(last)) = (rest.first(), rest.last()) else { return at };
    let (first, last, wanted) = ((*first).into(), (*last).into(), (*key).into());
    if wanted <= first {
        return at;
    }
    if wanted > last {
        return keys.len();
    }
    // Here first < wanted <= last, so there are two keys at least. Rounding only makes a guess a worse one.
    let (way, whole): (u64, u64) = (wanted - first, last - first);
    let guess = ((way as f64 / whole as f64) * (rest.len() - 1) as f64) as usize;
    let mut step = 1;
    // The answer is in lo + 1 ..= hi: rest[lo] < key <= rest[hi].
    let (mut lo, mut hi) = (0, rest.len() - 1);
    if rest[guess] < *key {
        lo = guess;
        while lo + step < hi && rest[lo + step] < *key {
            lo += step;
            step *= 2;
        }
        hi = hi.min(lo + step);
    } else {
        hi = guess;
        while lo + step < hi && rest[hi - step] >= *key {
            hi -= step;
            step *= 2;
        }
        lo = lo.max(hi.saturating_sub(step));
    }
    at + lo + 1 + rest[lo + 1..hi].partition_point(|k| k < key)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ids::TrackId;

    #[test]
    fn a_key_is_found_wherever_it_is() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for n in 0..300 {
            // Evenly spread, or all in one corner; the ends of the range are among them at times.
            let shift = [0, 40, 60][n % 3];
            let mut keys: Vec<TrackId> =
                (0..rng.random_range(0..200)).map(|_| TrackId(rng.next_u64() >> shift)).collect();
            keys.extend([0, u64::MAX].map(TrackId).into_iter().filter(|_| n % 5 == 0));
            keys.sort_unstable();
            keys.dedup();
            let anything = (0..50).map(|_| TrackId(rng.next_u64() >> rng.random_range(0..64)));
            for key in anything.collect::<Vec<_>>().iter().chain(&keys.clone()) {
                let at = rng.random_range(0..=keys.len());
                let expected = at + keys[at..].partition_point(|k| k < key);
                assert_eq!(seek(&keys, at, key), expected, "{key:?} from {at} in {keys:?}");
            }
        }
    }

    #[test]
    fn what_two_lists_share_is_found_in_both() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for n in 0..300 {
            let mut list = |most: u64| {
                let all = (0..rng.random_range(0..60)).map(|_| TrackId(rng.random_range(0..most)));
                let all: std::collections::BTreeSet<TrackId> = all.collect();
                all.into_iter().collect::<Vec<_>>()
            };
            let most = [5, 100, u64::MAX][n % 3];
            let (one, other) = (list(most), list(most));
            let mut found = Vec::new();
            shared(&one, &other, |i, j| found.push((i, j)));
            let place = |id: &TrackId| other.iter().position(|there| there == id);
            let expected: Vec<_> =
                one.iter().enumerate().filter_map(|(i, id)| Some((i, place(id)?))).collect();
            assert_eq!(found, expected);
        }
    }
}
