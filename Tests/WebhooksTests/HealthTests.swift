import Domain
import Testing

@testable import Webhooks

@Suite struct HealthTests {
    private var health = Health(concurrencyMax: 8)

    /// A failed attempt that was made, and ended, at so many seconds.
    private mutating func fail(
        at seconds: Double, retryAfter: Duration? = nil, isOverload: Bool = false,
        random: Double = 0
    ) -> Bool {
        health.failed(
            sentAt: .at(seconds), now: .at(seconds), retryAfter: retryAfter,
            isOverload: isOverload, random: random)
    }

    @Test mutating func retriesComeAfterTheWholeScheduleWhoseLastWaitRepeats() {
        let waits = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400, 86_400]
        var now = 0.0
        for (index, wait) in waits.enumerated() {
            #expect(fail(at: now) == false)
            #expect(health.retryAt == .at(now + Double(wait)))
            #expect(health.failures == index + 1)
            if wait > 0 {
                #expect(!health.admits(inFlight: 0, now: .at(now + Double(wait) - 0.001)))
            }
            now += Double(wait)
            #expect(health.admits(inFlight: 0, now: .at(now)))
            // No two retries at the same moment.
            now += 0.001
        }
    }

    @Test(arguments: [(0.0, 0.0), (0.5, 30.0), (0.999, 59.94)])
    mutating func jitterAddsAFifthOfTheWaitAtMost(random: Double, added: Double) {
        _ = fail(at: 0)
        _ = fail(at: 1)
        _ = fail(at: 10, random: random)
        #expect(health.retryAt == .at(310 + added))
    }

    @Test mutating func whileItIsDownOneRequestAtATimeIsAdmitted() {
        #expect(health.admits(inFlight: 7, now: .at(0)))
        #expect(!health.admits(inFlight: 8, now: .at(0)))
        _ = fail(at: 0)
        #expect(health.isDown)
        #expect(health.admits(inFlight: 0, now: .at(0)))
        #expect(!health.admits(inFlight: 1, now: .at(0)))
    }

    @Test mutating func requestsThatWereInFlightTogetherFailOnce() {
        for second in 1...8 {
            _ = health.failed(
                sentAt: .at(0), now: .at(Double(second)), retryAfter: nil, isOverload: false,
                random: 0)
        }
        #expect(health.failures == 1)
        #expect(health.failingSince == .at(1))
        #expect(health.retryAt == .at(1))
        #expect(fail(at: 9) == false)
        #expect(health.failures == 2)
    }

    @Test mutating func anAnswerToWhatWasSentBeforeTheFailureDoesNotEndIt() {
        _ = fail(at: 10)
        health.answered(sentAt: .at(9))
        #expect(health.isDown)
        health.answered(sentAt: .at(11))
        #expect(health == Health(concurrencyMax: 8))
    }

    @Test mutating func anEndpointIsWaitedForAsLongAsItAsksUpToADay() {
        _ = fail(at: 0, retryAfter: .seconds(100))
        #expect(health.retryAt == .at(100))
        _ = fail(at: 100, retryAfter: .seconds(3))
        #expect(health.retryAt == .at(103))
        _ = fail(at: 103, retryAfter: .seconds(1 << 32))
        #expect(health.retryAt == .at(103 + 86_400))
    }

    @Test mutating func whoAsksForNoWaitAtAllGetsASecond() {
        _ = fail(at: 0, retryAfter: .zero)
        #expect(health.retryAt == .at(1))
    }

    @Test mutating func ofWhatFailedTogetherTheLongestWaitCounts() {
        _ = fail(at: 10)
        for wait in [60, 30] {
            _ = health.failed(
                sentAt: .at(9), now: .at(11), retryAfter: .seconds(wait), isOverload: true,
                random: 0)
        }
        #expect(health.retryAt == .at(71))
        #expect(health.failures == 1)
    }

    @Test mutating func overloadHalvesWhatMayBeInFlightAndEachAnswerGivesOneBack() {
        var second = 0.0
        for left in [4, 2, 1, 1] {
            _ = fail(at: second, isOverload: true)
            #expect(health.concurrency == left)
            second += 1
        }
        for more in [2, 3, 4, 5, 6, 7, 8, 8] {
            second += 1
            health.answered(sentAt: .at(second))
            #expect(health.concurrency == more)
        }
    }

    @Test mutating func failingForFiveDaysIsTooLong() {
        let days = 5 * 86_400.0
        #expect(fail(at: 0) == false)
        #expect(fail(at: days - 1) == false)
        #expect(fail(at: days) == true)
        health.answered(sentAt: .at(days + 1))
        #expect(fail(at: days + 2) == false)
    }

    @Test mutating func anotherProcessGoesOnWithTheSameClock() {
        for second in [0.0, 1, 2] { _ = fail(at: second) }
        var restored = Health(concurrencyMax: 8)
        restored.restore(
            failures: health.failures, failingSince: health.failingSince, retryAt: health.retryAt)
        #expect(restored.isDown)
        #expect(!restored.admits(inFlight: 0, now: .at(301)))
        #expect(restored.admits(inFlight: 0, now: .at(302)))
        _ = restored.failed(
            sentAt: .at(302), now: .at(302), retryAfter: nil, isOverload: false, random: 0)
        #expect(restored.failures == 4)
        #expect(restored.failingSince == .at(0))
        #expect(restored.retryAt == .at(302 + 1_800))
    }

    @Test mutating func anOperatorEndsAllWaiting() {
        _ = fail(at: 0, isOverload: true)
        health.reset()
        #expect(health == Health(concurrencyMax: 8))
    }
}
