import Testing

@testable import Statistics

struct SampleRatioTests {
    private typealias Arm = SampleRatioTest.Arm

    private func cohort(_ arms: (Int, Double)...) -> [Arm] {
        arms.map { Arm(count: $0.0, split: $0.1) }
    }

    @Test func `arms with their shares have nothing to alert of`() {
        let test = SampleRatioTest(cohorts: [cohort((200, 0.2), (300, 0.3), (500, 0.5))])
        #expect(close(test.total.statistic, 0, 1e-20))
        #expect(test.p == 1)
        #expect(!test.alert)
    }

    @Test func `splits in any unit mean the same`() {
        let test = SampleRatioTest(cohorts: [cohort((5_000, 1), (5_200, 1))])
        #expect(test == SampleRatioTest(cohorts: [cohort((5_000, 0.4999), (5_200, 0.4999))]))
    }

    @Test func `the alert is at p below 0.001`() {
        // Over 10 000 units at 50/50 the statistic is (2 (o − 5 000))² / 10 000; it alerts past 10.83.
        #expect(SampleRatioTest(cohorts: [cohort((5_165, 0.5), (4_835, 0.5))]).alert)
        #expect(!SampleRatioTest(cohorts: [cohort((5_164, 0.5), (4_836, 0.5))]).alert)
    }

    @Test func `cohorts are tested one by one and summed`() {
        let first = cohort((5_000, 0.5), (5_200, 0.5))
        let second = cohort((90, 0.1), (910, 0.9), (3, 0))
        let third = cohort((10, 0.2), (11, 0.3), (29, 0.5))
        let test = SampleRatioTest(cohorts: [first, second, third])
        #expect(test.cohorts.map(\.degreesOfFreedom) == [1, 1, 2])
        #expect(test.total.degreesOfFreedom == 4)
        let wanted = [3.921568627450980, 1.111111111111111, 1.706666666666667]
        for (figure, statistic) in zip(test.cohorts, wanted) {
            #expect(close(figure.statistic, statistic, 1e-12))
        }
        #expect(close(test.total.statistic, wanted.reduce(0, +), 1e-12))
        #expect(close(test.cohorts[0].p, 0.0476703807, 1e-10))
        // Pooled, a change of the split would look like a mismatch.
        let changed = [cohort((900, 0.9), (100, 0.1)), cohort((500, 0.5), (500, 0.5))]
        #expect(SampleRatioTest(cohorts: changed).p == 1)
    }

    @Test func `cohorts without two promised arms or without units take no part`() {
        let whole = cohort((5_000, 0.5), (5_200, 0.5))
        let others = [
            [], cohort((500, 1)), cohort((500, 1), (7, 0)), cohort((0, 0.5), (0, 0.5)),
            cohort((0, 0.5), (0, 0.5), (12, 0)), cohort((5, 0), (7, 0)),
        ]
        #expect(
            SampleRatioTest(cohorts: [whole] + others).total.p
                == SampleRatioTest(
                    cohorts: [whole]).p)
        let nothing = SampleRatioTest(cohorts: others)
        #expect(nothing.p == 1 && nothing.total.degreesOfFreedom == 0 && !nothing.alert)
        #expect(nothing.cohorts.count == others.count)
    }

    @Test func `an arm that got nothing of what it was promised alerts`() {
        #expect(SampleRatioTest(cohorts: [cohort((0, 0.5), (100, 0.5))]).alert)
    }
}
