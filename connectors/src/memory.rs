//! The log in memory: the contract and nothing else, for tests and as a twin of the others.
//!
//! Durable means here: as long as the value lives.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::ends::Ends;
use crate::log::{Error, Log, Position, Read, Record, Stored, check, partition_of};

/// A log that lives as long as this value.
pub struct Memory {
    /// The payloads, by partition and offset.
    payloads: Mutex<Vec<Vec<Bytes>>>,
    ends: Ends,
}

impl Memory {
    /// An empty log.
    pub fn new(partitions: NonZeroU32) -> Self {
        let partitions = partitions.get() as usize;
        Memory { payloads: Mutex::new(vec![Vec::new(); partitions]), ends: Ends::new(vec![0; partitions]) }
    }
}

impl Log for Memory {
    fn partitions(&self) -> u32 {
        self.ends.all().len() as u32
    }

    fn append(&self, records: &[Record<'_>]) -> Result<Vec<Position>, Error> {
        check(records)?;
        let mut payloads = self.payloads.lock();
        if self.ends.is_closed() {
            return Err(Error::Closed);
        }
        let partitions = payloads.len() as u32;
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            let partition = partition_of(record.key, partitions);
            let held = &mut payloads[partition as usize];
            positions.push(Position { partition, offset: held.len() as u64 });
            held.push(record.payload.clone());
        }
        self.ends.raise(payloads.iter().map(|held| held.len() as u64).collect());
        Ok(positions)
    }

    fn read(&self, partition: u32, from: u64, bytes_max: usize) -> Result<Read, Error> {
        self.ends.readable(partition, from)?;
        let mut bytes = 0;
        let payloads = self.payloads.lock();
        let held = payloads[partition as usize].iter().enumerate().skip(from as usize);
        let records = held
            .take_while(|(at, payload)| {
                bytes += payload.len();
                *at as u64 == from || bytes <= bytes_max
            })
            .map(|(at, payload)| Stored { offset: at as u64, key: None, payload: Some(payload.clone()) })
            .collect();
        Ok(Read::of(from, records))
    }

    fn end(&self, partition: u32) -> Result<u64, Error> {
        self.ends.get(partition)
    }

    fn wait(&self, partition: u32, offset: u64, timeout: Duration) -> Result<bool, Error> {
        self.ends.wait(partition, offset, timeout)
    }

    fn close(&self) {
        self.ends.close();
    }
}
