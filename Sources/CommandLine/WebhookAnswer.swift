/// An endpoint, as the server answers.
struct WebhookAnswer: Decodable {
    struct Filter: Decodable {
        var lab: String?
        var experiment: String?
        var function: String?
    }

    struct Batch: Decodable {
        var maxCount: Int?
        var maxBytes: Int?
    }

    struct Replay: Decodable {
        var replay: Int
        var from: Int
        var through: Int
        var rateLimit: Double?
        var status: String
        var position: Int
        var requestedAt: String

        var total: Int { through - from + 1 }
        var done: Int { max(0, min(total, position - from + 1)) }
    }

    /// How many attempts ended which way.
    struct Attempts: Decodable {
        var delivered: Int
        var rejected: Int
        var timedOut: Int
        var unreachable: Int

        var failed: Int { rejected + timedOut + unreachable }
        var all: Int { delivered + failed }

        private enum CodingKeys: String, CodingKey {
            case delivered, rejected, unreachable
            case timedOut = "timed_out"
        }
    }

    /// How deliveries go, as of a moment ago.
    struct Delivery: Decodable {
        var state: String
        var reason: String?
        var position: Int
        var lagEvents: Int
        var lagSeconds: Double
        var requestsInFlight: Int
        var eventsInFlight: Int
        var failures: Int
        var failingSince: String?
        var nextRetry: String?
        var setAside: Int
        var delivered: Int
        var attempts: Attempts
        var batchFill: Double
        var connectionsReused: Int
        var lastDeliveryAt: String?
        var lastError: String?
        var lastErrorAt: String?

        /// The share of requests over a connection that was open already; nil without any.
        var reusedShare: Double? {
            attempts.all == 0 ? nil : Double(connectionsReused) / Double(attempts.all)
        }
    }

    var id: String
    var url: String
    var events: [String]
    var filter: Filter?
    var encoder: String
    var mode: String
    var batch: Batch?
    var allow: [String]?
    var headers: [String]?
    var rateLimit: Double?
    var compression: String?
    var signature: String
    var authorities: String?
    var certificate: String?
    var from: Int
    var status: String
    var version: Int
    var createdAt: String
    var updatedAt: String
    var previousSecretUntil: String?
    var replays: [Replay]
    var delivery: Delivery?
}

/// An event that an endpoint did not take.
struct WebhookFailure: Decodable {
    var position: Int
    var attempts: Int
    var status: Int?
    var reason: String
    var answer: String
    var failedAt: String
    var requestedAt: String?
    var event: JSONValue?
}

/// What came back from a sample.
struct WebhookTestAnswer: Decodable {
    struct Header: Decodable {
        var name: String
        var value: String
    }

    struct Sent: Decodable {
        var url: String
        var headers: [Header]
        var body: String
    }

    struct CameBack: Decodable {
        var headers: [Header]
        var body: String
    }

    var delivered: Bool
    var status: Int?
    var error: String?
    var milliseconds: Double
    var address: String?
    var request: Sent
    var answer: CameBack
}
