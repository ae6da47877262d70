//! How lists of tests become tests. A suite has one list, by clause; its table and the macro for authors are both made
//! from it, so that neither can have a test that the other does not.

/// Makes a suite's table: `static TABLE: &[Entry]`.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_table {
    ({} $( $clause:ident { $( $case:ident $needs:tt )* } )*) => {
        static TABLE: &[Entry] = &[ $( $( Entry {
            case: $crate::contract::Case { clause: stringify!($clause), name: stringify!($case) },
            needs: $crate::__contract_needs!($needs),
            test: |stage| Box::pin($clause::$case(stage)),
        }, )* )* ];
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_needs {
    ([$($need:ident)*]) => { &[$(Offer::$need),*] };
}

/// Makes the tests of an author's program: a module for each clause, with a test for each case.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_tests {
    ({ $suite:ident $fixture:tt $not:tt } $( $clause:ident { $( $case:ident $needs:tt )* } )*) => {
        $(
            mod $clause {
                #[allow(unused_imports, reason = "a fixture may be named by a path")]
                use super::*;
                $( $crate::__contract_test! { ($suite $fixture $clause $case) $needs $not $not } )*
            }
        )*
        $crate::__contract_declaration! { $suite $fixture $not }
    };
}

/// Makes one test: ignored if it needs what is not offered.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_test {
    (($suite:ident ($fixture:expr) $clause:ident $case:ident) [] $not:tt $all:tt) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            let case = $crate::contract::Case { clause: stringify!($clause), name: stringify!($case) };
            let fixture = $fixture;
            $crate::contract::$suite::check(case, fixture).await;
        }
    };
    ($head:tt [OtherHost $($n:tt)*] [OtherHost $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: OtherHost" }
    };
    ($head:tt [CallerTransaction $($n:tt)*] [CallerTransaction $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: CallerTransaction" }
    };
    ($head:tt [Data $($n:tt)*] [Data $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: Data" }
    };
    ($head:tt [Leftovers $($n:tt)*] [Leftovers $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: Leftovers" }
    };
    ($head:tt [Strangers $($n:tt)*] [Strangers $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: Strangers" }
    };
    ($head:tt [Damage $($n:tt)*] [Damage $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: Damage" }
    };
    ($head:tt [Settings $($n:tt)*] [Settings $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: Settings" }
    };
    ($head:tt [Ports $($n:tt)*] [Ports $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: Ports" }
    };
    ($head:tt [RestartServices $($n:tt)*] [RestartServices $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: RestartServices" }
    };
    ($head:tt [FollowLogs $($n:tt)*] [FollowLogs $($o:tt)*] $all:tt) => {
        $crate::__contract_ignored! { $head "not offered: FollowLogs" }
    };
    // The need is not the first of what is not offered: look at the next.
    ($head:tt $needs:tt [$other:ident $($not:ident)*] $all:tt) => {
        $crate::__contract_test! { $head $needs [$($not)*] $all }
    };
    // It is none of them: look for the next need.
    ($head:tt [$need:ident $($needs:ident)*] [] $all:tt) => {
        $crate::__contract_test! { $head [$($needs)*] $all $all }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __contract_ignored {
    (($suite:ident ($fixture:expr) $clause:ident $case:ident) $why:literal) => {
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = $why]
        async fn $case() {
            let case = $crate::contract::Case { clause: stringify!($clause), name: stringify!($case) };
            let fixture = $fixture;
            $crate::contract::$suite::check(case, fixture).await;
        }
    };
}

/// Makes the test that compares what was declared with what is offered.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_declaration {
    ($suite:ident ($fixture:expr) [$($not:ident)*]) => {
        mod not_offered {
            #[allow(unused_imports, reason = "a fixture may be named by a path")]
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn is_what_was_declared() {
                let fixture = $fixture;
                let declared = &[$($crate::contract::$suite::Offer::$not),*];
                $crate::contract::$suite::check_declaration(fixture, declared).await;
            }
        }
    };
}
