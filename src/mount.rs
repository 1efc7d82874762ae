//! The composition root: from validated options to a live mount and back.
