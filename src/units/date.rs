//! Epochs and the calendar: days, months and years of Unix times.

/// 1970-01-01 in seconds since 1900, from which NTP counts.
pub const UNIX_EPOCH: i64 = 2_208_988_800;
/// 1970-01-01 as a modified Julian day, in which ntpd's statistics files count.
pub const UNIX_EPOCH_MJD: i64 = 40_587;
/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// Weeks after which the GPS counts from zero again.
pub const GPS_ERA_WEEKS: i64 = 1024;
/// Seconds of a week.
pub const WEEK: i64 = 7 * DAY;

/// A Unix second as `YYYYMMDDHHMM`, as ntpd shows the times of its leap second file.
#[must_use]
pub fn date_stamp(seconds: i64) -> String {
    let t = civil_time(seconds);
    format!("{:04}{:02}{:02}{:02}{:02}", t.year, t.month, t.day, t.hour, t.minute)
}

/// A second of the calendar, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CivilTime {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

/// A Unix second in the calendar.
pub(super) const fn civil_time(seconds: i64) -> CivilTime {
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let rest = seconds.rem_euclid(DAY);
    CivilTime { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
}

/// The Unix second at which the month of `seconds` ends.
#[must_use]
pub const fn end_of_month(seconds: i64) -> i64 {
    let mut day = seconds.div_euclid(DAY) + 1;
    while civil(day).2 != 1 {
        day += 1;
    }
    day * DAY
}

/// The day of a date in the Gregorian calendar, counted from 1970-01-01; `None` if there is no such date.
#[must_use]
pub const fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    // Larger years than any clock shows would overflow.
    if year.unsigned_abs() > 1_000_000 || month < 1 || month > 12 || day < 1 || day > 31 {
        return None;
    }
    // Counted in years that begin in March, as in `civil`.
    let shifted = if month > 2 { year } else { year - 1 };
    let months = (month + 9) % 12;
    let day_of_year = (153 * months + 2) / 5 + day - 1;
    let year_of_era = shifted.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = shifted.div_euclid(400) * 146_097 + day_of_era - 719_468;
    // February 30 would be a day of March.
    if civil(days).2 == day { Some(days) } else { None }
}

/// Whether leap seconds are inserted at the end of this month, first or second choice: in March, June, September and December.
#[must_use]
pub const fn has_leap_seconds(seconds: i64) -> bool {
    civil(seconds.div_euclid(DAY)).1 % 3 == 0
}

/// Year, month and day of the month of a day counted from 1970-01-01 in the Gregorian calendar:
/// counted in years that begin in March, so that the leap day comes last.
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let era_year = shifted.div_euclid(146_097) * 400 + year;
    if month < 10 { (era_year, month + 3, day) } else { (era_year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_where_the_calendar_says() {
        let june_30_2015 = 1_435_622_400;
        assert_eq!(end_of_month(june_30_2015), june_30_2015 + DAY);
        assert_eq!(end_of_month(june_30_2015 + DAY), june_30_2015 + 32 * DAY);
        assert_eq!(end_of_month(951_696_000), 951_868_800); // 2000-02-28: a leap day follows.
        assert_eq!(end_of_month(4_107_456_000), 4_107_542_400); // 2100-02-28: none follows.
    }

    #[test]
    fn days_and_dates_are_the_same() {
        let mut known = 0;
        for days in -800_000..800_000 {
            let (year, month, day) = civil(days);
            assert_eq!(day_of(year, month, day), Some(days));
            known += 1;
        }
        assert_eq!(known, 1_600_000);
        for (year, month, day) in
            [(2026, 2, 29), (1900, 2, 29), (2026, 4, 31), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0)]
        {
            assert_eq!(day_of(year, month, day), None, "{year}-{month}-{day}");
        }
        assert_eq!(day_of(2000, 2, 29), Some(11_016));
        assert_eq!(day_of(i64::MAX, 1, 1), None);
    }

    #[test]
    fn leap_seconds_are_in_four_months() {
        let first_of_2026 = 1_767_225_600;
        let months = (0..12).filter(|n| has_leap_seconds(first_of_2026 + n * 30 * DAY + 15 * DAY));
        assert_eq!(months.collect::<Vec<_>>(), [2, 5, 8, 11]);
    }

    #[test]
    fn dates_are_written_as_ntpd_writes_them() {
        assert_eq!(date_stamp(1_483_228_800), "201701010000");
        assert_eq!(date_stamp(951_868_799), "200002292359");
        assert_eq!(date_stamp(-1), "196912312359");
    }
}
