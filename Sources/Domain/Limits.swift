/// Every bound of the ledger in one place.
package enum Limits {
    // MARK: Names and texts

    /// Lab, subject type, experiment and variant IDs.
    package static let resourceIDBytesMax = 128
    /// Subject IDs.
    package static let subjectBytesMax = 512
    package static let nameBytesMax = 256
    /// Names of functions, of step experiments and of their variants.
    package static let stepNameBytesMax = 128
    /// Names of scores.
    package static let scoreNameBytesMax = 128
    /// What a score carries along, as JSON text.
    package static let scoreMetadataBytesMax = 4_096
    /// Descriptions, hypotheses and reasons.
    package static let textBytesMax = 16_384
    package static let linksMax = 100
    package static let linkBytesMax = 2_048

    // MARK: Experiments

    package static let variantsMax = 256
    package static let cohortsMax = 10_000
    /// Different definitions of one step experiment.
    package static let definitionsMax = 10_000

    // MARK: Requests

    /// Subjects, experiments or events in one request.
    package static let batchLengthMax = 10_000
    /// Scores in one request of the shape that names only the run.
    package static let runScoresMax = 100
    package static let requestBodyBytesMax = 16 << 20
    package static let requestHeaderBytesMax = 16 << 10
    /// Seconds a client may take to send a request, head and body together.
    package static let requestReceiveSecondsMax = 30
    /// Seconds a connection may stay idle between requests.
    package static let connectionIdleSecondsMax = 75
    package static let connectionsMax = 4_096
    package static let idempotencyKeyBytesMax = 256
    package static let correlationBytesMax = 256
    /// Entries of one page of any list.
    package static let pageLengthMax = 10_000
    package static let pageLengthDefault = 100
    /// Lines of one page of the log.
    package static let linePageLengthMax = 100_000
    /// Bytes after which a page of the log ends, whatever it was asked for.
    package static let linePageBytesMax = 4 << 20
    /// Seconds that a request for lines waits for the first one.
    package static let lineWaitSecondsMax = 30

    /// Milliseconds that results wait for the projections to hold what is recorded already.
    package static let freshResultsMilliseconds = 500

    // MARK: Nodes

    /// Seconds a request waits for a position that this node has not reached.
    package static let positionPatienceSeconds = 5
    /// Seconds a request waits while no node leads.
    package static let leaderPatienceSeconds = 10

    // MARK: Webhooks

    package static let webhooksMax = 10_000
    package static let webhookIDBytesMax = 64
    package static let webhookURLBytesMax = 2_048
    package static let webhookPatternsMax = 64
    package static let webhookNetworksMax = 32
    package static let webhookHeadersMax = 16
    package static let webhookHeaderBytesMax = 2_048
    /// Certificates and authorities, as PEM.
    package static let webhookPEMBytesMax = 65_536
    /// Events in one request.
    package static let webhookBatchCountMax = 10_000
    /// Bytes of one request, before compression.
    package static let webhookBatchBytesMax = 8 << 20
    /// Requests per second that a rate limit allows at least.
    package static let webhookRateMin = 0.001
    /// Hours for which a replaced secret is still signed with.
    package static let webhookRotationHours = 24

    // MARK: Sequencer

    /// Submissions waiting for the sequencer; beyond it the answer is 503.
    package static let queueSubmissionsMax = 16_384
    /// Events that waiting submissions may lead to, together; beyond it the answer is 503.
    package static let queueEventsMax = 200_000
    /// Events one commit holds at most, unless a single request brings more.
    package static let batchEventsMax = 10_000
    /// Units whose variants are remembered for repeat requests, in two generations of half as many each.
    package static let placementCacheEntriesMax = 524_288
    /// Keys of sealed subjects that are remembered, in two generations of half as many each.
    package static let subjectKeyCacheEntriesMax = 65_536
    /// Seconds after which a remembered key is looked up again: it may have been destroyed.
    package static let subjectKeySecondsMax = 3
    /// Times a command is sealed anew because of erasures at the same time.
    package static let sealAttemptsMax = 5
    /// Seconds after which an erasure that was begun is taken to be abandoned, and completed.
    package static let erasureSecondsMax = 10
    /// Days an idempotency record is kept.
    package static let idempotencyDays = 8
}
