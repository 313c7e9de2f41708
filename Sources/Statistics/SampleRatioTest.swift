/// Whether the arms got the shares of units that the splits promise.
///
/// Each cohort is tested with Pearson's chi-square, Σ (o − e)² / e, over the arms whose split is
/// not zero, with one degree of freedom less than such arms; the cohorts' statistics and degrees of
/// freedom are summed. An arm with split 0 is not promised any units, so it takes no part, whatever
/// its count; nor does a cohort with no units or fewer than two other arms.
package struct SampleRatioTest: Sendable, Equatable {
    package struct Arm: Sendable, Equatable {
        package let count: Int
        /// A share, in any unit: the cohort's splits are brought to a sum of 1.
        package let split: Double

        package init(count: Int, split: Double) {
            self.count = count
            self.split = split
        }
    }

    package struct Figure: Sendable, Equatable {
        package let statistic: Double
        package let degreesOfFreedom: Int
        /// 1 where there is nothing to test.
        package let p: Double

        fileprivate init(statistic: Double, degreesOfFreedom: Int) {
            self.statistic = statistic
            self.degreesOfFreedom = degreesOfFreedom
            p = ChiSquare(degreesOfFreedom: degreesOfFreedom).upperTail(statistic)
        }
    }

    /// Below it the split is taken for broken. Low, as this test is looked at all the time.
    package static let alertP = 0.001

    /// In the order of the cohorts; one that takes no part has no degrees of freedom.
    package let cohorts: [Figure]
    package let total: Figure

    package init(cohorts: [[Arm]]) {
        self.cohorts = cohorts.map(Self.figure)
        total = Figure(
            statistic: self.cohorts.reduce(0) { $0 + $1.statistic },
            degreesOfFreedom: self.cohorts.reduce(0) { $0 + $1.degreesOfFreedom })
    }

    package var p: Double { total.p }
    package var alert: Bool { p < Self.alertP }

    private static func figure(_ cohort: [Arm]) -> Figure {
        let arms = cohort.filter { $0.split > 0 }
        let units = Double(arms.reduce(0) { $0 + $1.count })
        if arms.count < 2 || units == 0 { return Figure(statistic: 0, degreesOfFreedom: 0) }
        let splits = arms.reduce(0) { $0 + $1.split }
        let statistic = arms.reduce(0) { sum, arm in
            let expected = units * (arm.split / splits)
            let excess = Double(arm.count) - expected
            return sum + excess * excess / expected
        }
        return Figure(statistic: statistic, degreesOfFreedom: arms.count - 1)
    }
}
