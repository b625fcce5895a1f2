//! Durable steps: places where a test has the process end as if by kill -9, named in the variable `FAILPOINTS`
//! (`snapshot::manifest=return`, or `…=2*off->return` for the third time). Nothing outside of tests.

/// One of them.
macro_rules! step {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort());
    };
}

pub(crate) use step;
