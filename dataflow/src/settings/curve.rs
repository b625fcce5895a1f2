//! A constant that depends on the number of seeds.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Points that a curve may have.
const POINTS_MAX: usize = 8;

/// Values at some numbers of seeds, written as `1:0.3 5:0.5`, or as one number for all.
#[derive(Clone, Copy, PartialEq)]
pub struct Curve {
    points: [(u32, f64); POINTS_MAX],
    len: usize,
}

impl Curve {
    /// Through these points. They are one at least and eight at most, ascending.
    ///
    /// # Errors
    /// Says which of this they are not.
    pub const fn new(points: &[(u32, f64)]) -> Result<Self, &'static str> {
        if points.is_empty() || points.len() > POINTS_MAX {
            return Err("is not one to eight points");
        }
        let mut curve = Curve { points: [(0, 0.0); POINTS_MAX], len: points.len() };
        let mut at = 0;
        while at < points.len() {
            if at > 0 && points[at - 1].0 >= points[at].0 {
                return Err("does not have its points in ascending order");
            }
            curve.points[at] = points[at];
            at += 1;
        }
        Ok(curve)
    }

    /// The same for any number of seeds.
    pub const fn constant(value: f64) -> Self {
        let mut curve = Curve { points: [(0, 0.0); POINTS_MAX], len: 1 };
        curve.points[0].1 = value;
        curve
    }

    fn points(&self) -> &[(u32, f64)] {
        &self.points[..self.len]
    }

    /// The last point at or before `seeds`, the first if there is none, and the one after it.
    fn around(&self, seeds: u32) -> ((u32, f64), Option<(u32, f64)>) {
        let points = self.points();
        let after = points.partition_point(|(at, _)| *at <= seeds).max(1);
        (points[after - 1], points.get(after).copied())
    }

    /// The value for so many seeds, between two points by the logarithm of the number of seeds.
    pub fn at(&self, seeds: u32) -> f64 {
        match self.around(seeds) {
            ((from, low), Some((to, high))) if from < seeds => {
                let way = |number: u32| (f64::from(number) / f64::from(from.max(1))).ln();
                // From no seeds to some there is no way half-way: what holds for none holds for none only.
                if from == 0 { high } else { low + (high - low) * way(seeds) / way(to) }
            }
            ((_, value), _) => value,
        }
    }

    /// The value for so many seeds, which stays until the next point.
    pub fn step(&self, seeds: u32) -> f64 {
        self.around(seeds).0.1
    }

    /// The highest point.
    pub fn highest(&self) -> f64 {
        self.points().iter().map(|(_, value)| *value).fold(f64::MIN, f64::max)
    }

    /// Reads one whose values all lie in a range.
    ///
    /// # Errors
    /// Says what is wrong with what is written there.
    pub fn within<'de, D: Deserializer<'de>>(from: D, range: &RangeInclusive<f64>) -> Result<Self, D::Error> {
        use serde::de::Error;
        let curve = Curve::deserialize(from)?;
        match curve.points().iter().find(|(_, value)| !range.contains(value)) {
            Some((_, value)) => {
                Err(D::Error::custom(format!("{value} is not in {} to {}", range.start(), range.end())))
            }
            None => Ok(curve),
        }
    }

    /// Reads one whose values are whole numbers in a range.
    ///
    /// # Errors
    /// Says what is wrong with what is written there.
    pub fn whole<'de, D: Deserializer<'de>>(from: D, range: &RangeInclusive<u32>) -> Result<Self, D::Error> {
        use serde::de::Error;
        let curve = Curve::within(from, &(f64::from(*range.start())..=f64::from(*range.end())))?;
        match curve.points().iter().find(|(_, value)| value.fract() != 0.0) {
            Some((_, value)) => Err(D::Error::custom(format!("{value} is not a whole number"))),
            None => Ok(curve),
        }
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if let Ok(value) = text.trim().parse::<f64>() {
            return Ok(Curve::constant(value));
        }
        let point = |text: &str| {
            let (seeds, value) = text.split_once(':')?;
            Some((seeds.parse().ok()?, value.parse().ok()?))
        };
        let points: Option<Vec<(u32, f64)>> = text.split_whitespace().map(point).collect();
        Curve::new(&points.ok_or("is neither a number nor points such as 1:0.3 5:0.5")?)
    }
}

impl JsonSchema for Curve {
    fn schema_name() -> Cow<'static, str> {
        "Curve".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number"]})
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.points() {
            [(0, value)] => write!(f, "{value}"),
            points => {
                for (at, (seeds, value)) in points.iter().enumerate() {
                    let space = if at > 0 { " " } else { "" };
                    write!(f, "{space}{seeds}:{value}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Curve {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Curve {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;
        impl serde::de::Visitor<'_> for Written {
            type Value = Curve;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or points such as \"1:0.3 5:0.5\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Curve, E> {
                Curve::read(text).map_err(|wrong| E::custom(format!("{text:?} {wrong}")))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Curve, E> {
                Ok(Curve::constant(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Curve, E> {
                Ok(Curve::constant(value as f64))
            }
        }
        // A format for machines does not say what it has.
        if from.is_human_readable() { from.deserialize_any(Written) } else { from.deserialize_str(Written) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_points_it_goes_by_the_logarithm_or_in_steps() {
        let curve = Curve::new(&[(0, -0.1), (1, 1.0), (10, 2.0), (1_000, 4.0)]).expect("ascending");
        for (seeds, value, step) in [
            (0, -0.1, -0.1),
            (1, 1.0, 1.0),
            (2, 1.0 + 2_f64.log10(), 1.0),
            (10, 2.0, 2.0),
            (100, 3.0, 2.0),
            (1_000, 4.0, 4.0),
            (5_000, 4.0, 4.0),
        ] {
            assert!((curve.at(seeds) - value).abs() < 1e-12, "{seeds}: {}", curve.at(seeds));
            assert!((curve.step(seeds) - step).abs() < 1e-12, "{seeds}: {}", curve.step(seeds));
        }
        let late = Curve::new(&[(0, 7.0), (5, 1.0)]).expect("ascending");
        assert_eq!([0, 3, 5].map(|seeds| late.at(seeds)), [7.0, 1.0, 1.0]);
        let first = Curve::new(&[(3, 7.0), (5, 1.0)]).expect("ascending");
        assert_eq!(
            [0, 3, 9].map(|seeds| (first.at(seeds), first.step(seeds))),
            [(7.0, 7.0), (7.0, 7.0), (1.0, 1.0)]
        );
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for (text, shown) in [("1:0.3 5:0.5", "1:0.3 5:0.5"), ("  2 ", "2"), ("0:-0.1   1:0", "0:-0.1 1:0")] {
            assert_eq!(Curve::read(text).map(|curve| curve.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in ["", "x", "1:0.3 1:0.5", "5:1 1:1", "1:", "1:2:3", "1:1 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1"]
        {
            assert!(Curve::read(text).is_err(), "{text}");
        }
    }
}
