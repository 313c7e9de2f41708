/// What the numbers of a score are.
package enum Measure: Sendable {
    /// Any numbers; their variance is unbiased, with n − 1.
    case mean
    /// Zeros and ones; their variance is p (1 − p), with n.
    case proportion
}

/// An arm's mean with what is needed to tell how certain it is.
package struct EstimatedMean: Sendable, Equatable {
    package let count: Int
    /// 0 of nothing.
    package let mean: Double
    /// Of the numbers, not of their mean; 0 where there are too few of them.
    package let variance: Double

    package init(count: Int, mean: Double, variance: Double) {
        self.count = count
        self.mean = mean
        self.variance = variance
    }

    package init(_ moments: Moments, _ measure: Measure) {
        let variance =
            switch measure {
            case .mean: moments.variance ?? 0
            // Of zeros and ones this is p (1 − p), and of other numbers it is still a variance.
            case .proportion: moments.squaredDeviations / Double(max(1, moments.count))
            }
        self.init(count: moments.count, mean: moments.mean, variance: variance)
    }
}
