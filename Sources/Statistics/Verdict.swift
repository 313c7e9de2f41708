import Glibc

/// What may be said of a treatment so far.
package enum Verdict: String, Sendable, CaseIterable {
    case noneYet = "none yet"
    case better = "better"
    case worse = "worse"
    case noDifferenceSeen = "no difference seen"

    package var text: String { rawValue }
}

/// Decides what the evidence allows to be said, at any time and as often as asked.
///
/// 1. Arms that did not get their shares of units aren't comparable: none yet.
/// 2. Without an always-valid interval of the absolute difference there is no evidence: none yet.
/// 3. The interval excludes zero: better or worse, however small the difference.
/// 4. The interval lies within the minimum effect around zero, so that a difference that would
///    matter is excluded: no difference seen.
/// 5. Otherwise more units are needed: none yet.
///
/// Only the always-valid interval is asked, as a verdict is looked at again and again, and Welch's
/// interval would then exclude zero sooner or later without any difference.
package struct VerdictRule: Sendable, Equatable {
    package let level: SignificanceLevel
    /// The smallest difference that matters, in shares of the control's mean.
    package let minimumEffect: Double
    package let higherIsBetter: Bool

    package init(
        level: SignificanceLevel = .standard, minimumEffect: Double = 0.01,
        higherIsBetter: Bool = true
    ) {
        self.level = level
        self.minimumEffect = minimumEffect
        self.higherIsBetter = higherIsBetter
    }

    /// The verdict and, in a short sentence, what it rests on.
    package func decide(
        _ arms: some ComparedArms, sampleRatio: SampleRatioTest
    ) -> (verdict: Verdict, evidence: String) {
        if sampleRatio.alert {
            return (
                .noneYet,
                "The arms' shares of units differ from the split (sample ratio p = "
                    + "\(shortText(sampleRatio.p))), so they can't be compared."
            )
        }
        switch (arms.comparison, arms.alwaysValid(.absolute, level)) {
        case (.success(let comparison), .success(let result)):
            return decide(result, control: comparison.control.mean)
        case (.failure(let reason), _), (_, .failure(let reason)):
            return (.noneYet, "There is no interval of the difference: \(reason.text).")
        }
    }

    private func decide(
        _ result: TestResult, control: Double
    ) -> (verdict: Verdict, evidence: String) {
        let interval = result.interval
        let said =
            "The difference is \(shortText(result.estimate)), and its always-valid "
            + "\(level.confidenceText) interval [\(shortText(interval.low)), "
            + "\(shortText(interval.high))]"
        if !interval.contains(0) {
            let verdict: Verdict = (interval.low > 0) == higherIsBetter ? .better : .worse
            return (verdict, said + " excludes 0.")
        }
        let margin = minimumEffect * abs(control)
        let effect = "\(shortText(minimumEffect * 100)) % of the control's mean"
        if -margin <= interval.low && interval.high <= margin {
            return (.noDifferenceSeen, said + " lies within \(effect) around 0.")
        }
        return (.noneYet, said + " includes both 0 and more than \(effect).")
    }
}

/// A number with four significant digits at most.
func shortText(_ value: Double) -> String {
    if value == 0 || !value.isFinite { return value == 0 ? "0" : "\(value)" }
    let place = Int(log10(abs(value)).rounded(.down)) - 3
    let digits = (value * pow(10, Double(-place))).rounded()
    // Read as decimal digits, as a power of ten is not exact.
    let short = digits.isFinite ? Double("\(Int(digits))e\(place)") ?? value : value
    let text = "\(short)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
}
