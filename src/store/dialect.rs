//! What a provider does differently, as data.
