//! The engine: playlist events in, answers out, every view up to date change by change.
//!
//! Reading order, which is the way of an event:
//! [`ids`] (hashed names of things), [`event`] (what arrives on the log), [`edit`] (the form that travels
//! through the dataflow, with its [`day`]), [`apply`] (edits become changes of playlists), [`catalogue`] (and
//! of tracks), [`views`] (what they add up to), [`query`] (how questions are answered from the views, with
//! [`sample`] and [`scoring`]), [`neighbours`] (which tracks share playlists, kept up to date), [`engine`] (all
//! of it as one dataflow), [`workers`] (the threads it runs on, by [`priority`]), [`snapshot`] (copies of the
//! state, and how to go on from one).
//!
//! This crate does no I/O and never asks what time of day it is: bytes and time are handed in.

#![forbid(unsafe_code)]

pub mod apply;
pub mod catalogue;
pub mod day;
pub mod digest;
pub mod edit;
pub mod engine;
pub mod event;
mod fetch;
pub mod ids;
pub mod neighbours;
pub mod priority;
pub mod query;
pub mod sample;
pub mod scoring;
pub mod settings;
pub mod snapshot;
pub mod title;
pub mod views;
pub mod workers;
