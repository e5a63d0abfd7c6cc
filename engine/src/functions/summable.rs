//! The number types that `sum` must not wrap around in.

use std::fmt::Debug;
use std::hash::Hash;

use arrow::datatypes::{
    ArrowNumericType, DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Int64Type,
    UInt64Type, i256,
};

/// A number type with a checked `+`, and a wider one in which a running sum stays exact where there is one.
pub(super) trait Summable: ArrowNumericType<Native: Eq + Hash> + Send + Sync + Debug {
    type Wide: Copy + Default + Debug + Send + Sync + 'static;

    /// `None` on overflow.
    fn plus(left: Self::Native, right: Self::Native) -> Option<Self::Native>;
    fn add(sum: Self::Wide, value: Self::Native) -> Option<Self::Wide>;
    fn subtract(sum: Self::Wide, value: Self::Native) -> Option<Self::Wide>;
    fn narrow(sum: Self::Wide) -> Option<Self::Native>;
    /// Whether `value` can be shown in `data_type`: a decimal has fewer digits than its bits allow.
    fn fits(value: Self::Native, data_type: &DataType) -> bool;
}

/// 64 bits and fewer: 2^64 of them sum up in 128 bits, so that the wide sum cannot overflow.
macro_rules! narrow_sums {
    ($($arrow:ty => $native:ty, $fits:expr;)+) => { $(
        impl Summable for $arrow {
            type Wide = i128;

            #[inline]
            fn plus(left: $native, right: $native) -> Option<$native> {
                left.checked_add(right)
            }

            #[inline]
            fn add(sum: i128, value: $native) -> Option<i128> {
                Some(sum.wrapping_add(i128::from(value)))
            }

            #[inline]
            fn subtract(sum: i128, value: $native) -> Option<i128> {
                Some(sum.wrapping_sub(i128::from(value)))
            }

            #[inline]
            fn narrow(sum: i128) -> Option<$native> {
                <$native>::try_from(sum).ok()
            }

            #[inline]
            fn fits(value: $native, data_type: &DataType) -> bool {
                $fits(value, data_type)
            }
        }
    )+ };
}

macro_rules! wide_sums {
    ($($arrow:ty => $native:ty;)+) => { $(
        impl Summable for $arrow {
            type Wide = $native;

            #[inline]
            fn plus(left: $native, right: $native) -> Option<$native> {
                left.checked_add(right)
            }

            #[inline]
            fn add(sum: $native, value: $native) -> Option<$native> {
                sum.checked_add(value)
            }

            #[inline]
            fn subtract(sum: $native, value: $native) -> Option<$native> {
                sum.checked_sub(value)
            }

            #[inline]
            fn narrow(sum: $native) -> Option<$native> {
                Some(sum)
            }

            #[inline]
            fn fits(value: $native, data_type: &DataType) -> bool {
                has_digits_for::<$arrow>(value, data_type)
            }
        }
    )+ };
}

fn any<N>(_: N, _: &DataType) -> bool {
    true
}

fn has_digits_for<T: DecimalType>(value: T::Native, data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal32(precision, _)
        | DataType::Decimal64(precision, _)
        | DataType::Decimal128(precision, _)
        | DataType::Decimal256(precision, _) => T::is_valid_decimal_precision(value, *precision),
        _ => true,
    }
}

narrow_sums! {
    Int64Type => i64, any;
    UInt64Type => u64, any;
    DurationSecondType => i64, any;
    DurationMillisecondType => i64, any;
    DurationMicrosecondType => i64, any;
    DurationNanosecondType => i64, any;
    Decimal32Type => i32, has_digits_for::<Decimal32Type>;
    Decimal64Type => i64, has_digits_for::<Decimal64Type>;
}

wide_sums! {
    Decimal128Type => i128;
    Decimal256Type => i256;
}
