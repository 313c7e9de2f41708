import Testing

@testable import Statistics

/// The figures worked out beforehand with other programs.
struct WorkedFiguresTests {
    private static func proportion(_ hits: Int, of count: Int) -> EstimatedMean {
        var moments = Moments()
        for index in 0..<count { moments.add(index < hits ? 1 : 0) }
        return EstimatedMean(moments, .proportion)
    }

    private let proportions = Contrast(
        control: proportion(100, of: 1_000), treatment: proportion(131, of: 1_010))

    @Test func `the absolute test of two proportions`() throws {
        let result = try proportions.welch(.absolute).get()
        #expect(close(result.estimate, 0.0297029703, 1e-10))
        #expect(close(result.standardError, 0.0142043122, 1e-10))
        #expect(close(result.interval.low, 0.0018460611, 1e-10))
        #expect(close(result.interval.high, 0.0575598795, 1e-10))
        #expect(close(result.p, 0.0366437307, 1e-10))
        #expect(result.scale == .absolute && result.method == .welch)
    }

    @Test func `the relative test of two proportions`() throws {
        let result = try proportions.welch(.relative).get()
        #expect(close(result.estimate, 0.2970297030, 1e-10))
        #expect(close(result.standardError, 0.1622246065, 1e-10))
        #expect(close(result.interval.low, -0.0211184816, 1e-10))
        #expect(close(result.interval.high, 0.6151778875, 1e-10))
        #expect(close(result.p, 0.0672534887, 1e-10))
        #expect(result.scale == .relative)
    }

    @Test func `the always-valid absolute test of two proportions`() throws {
        let result = try proportions.alwaysValid(.absolute).get()
        #expect(close(result.interval.low, -0.0146530526, 1e-10))
        #expect(close(result.interval.high, 0.0740589932, 1e-10))
        #expect(close(result.p, 0.3874236463, 1e-10))
        #expect(result.method == .alwaysValid)
    }

    @Test func `the always-valid relative test of two proportions`() throws {
        let result = try proportions.alwaysValid(.relative).get()
        #expect(close(result.interval.low, -0.2095515566, 1e-10))
        #expect(close(result.interval.high, 0.8036109626, 1e-10))
        #expect(close(result.p, 0.5713092064, 1e-10))
    }

    @Test func `Welch's test of two means`() throws {
        // From n, Σx and Σx²: the variance is (Σx² − (Σx)² / n) / (n − 1).
        func mean(_ count: Int, _ sum: Double, _ squares: Double) -> EstimatedMean {
            let n = Double(count)
            return EstimatedMean(
                count: count, mean: sum / n, variance: (squares - sum * sum / n) / (n - 1))
        }
        let contrast = Contrast(
            control: mean(500, 1_000, 3_000), treatment: mean(480, 1_100, 3_300))
        #expect(close(contrast.welch(.absolute).p, 0.00072364883, 1e-11))
    }

    @Test func `a sample ratio, with and without an arm that is promised nothing`() {
        typealias Arm = SampleRatioTest.Arm
        let two = [Arm(count: 5_000, split: 0.5), Arm(count: 5_200, split: 0.5)]
        for cohort in [
            two, two + [Arm(count: 0, split: 0)], [Arm(count: 77, split: 0)] + two,
        ] {
            let test = SampleRatioTest(cohorts: [cohort])
            #expect(close(test.p, 0.0476703807, 1e-10))
            #expect(test.total.degreesOfFreedom == 1)
            #expect(!test.alert)
        }
    }
}
