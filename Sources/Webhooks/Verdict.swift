import Curl
import Domain

/// What the end of a transfer means for the batch that it carried.
enum Verdict: Equatable {
    case delivered
    /// The endpoint does not take what the request contains; others may do.
    case refused(String)
    /// The endpoint is in no state to take anything.
    case failed(Failure)
    /// The endpoint says that it is no more.
    case gone(String)

    struct Failure: Equatable {
        var reason: String
        /// What the endpoint asked for.
        var retryAfter: Duration?
        /// Whether fewer requests at once may help.
        var isOverload = false
        /// Whether it may be the request's content after all that the endpoint fails at.
        var mayBeContent = false
    }

    /// Answers that speak of the request's content and not of the endpoint.
    private static let contentStatuses = [400, 409, 413, 415, 422]

    init(_ outcome: Outcome, now: Timestamp) {
        if let error = outcome.error {
            var failure = Failure(reason: error.description)
            failure.isOverload = error.kind == .timedOut
            // A receiver may crash at the sight of one event.
            failure.mayBeContent = outcome.wasSent && !failure.isOverload
            self = .failed(failure)
            return
        }
        let reason = "answered \(outcome.status)"
        switch outcome.status {
        case 200..<300: self = .delivered
        case 410: self = .gone(reason)
        case let status where Self.contentStatuses.contains(status): self = .refused(reason)
        case 300..<400:
            self = .failed(Failure(reason: "\(reason); redirects are not followed"))
        case let status:
            // The two answers for which HTTP lets a server say when to come back.
            let mayAsk = status == 429 || status == 503
            var failure = Failure(reason: reason)
            failure.retryAfter =
                mayAsk ? outcome.retryAfter.flatMap { .init(retryAfter: $0, now) } : nil
            failure.isOverload = status == 429 || status == 408
            failure.mayBeContent = !failure.isOverload && failure.retryAfter == nil
            self = .failed(failure)
        }
    }
}

extension Duration {
    /// Reads `Retry-After` in either of its forms, seconds or a date (RFC 9110 §10.2.3); nil for
    /// anything else.
    init?(retryAfter text: String, _ now: Timestamp) {
        if let seconds = Int64(text) {
            guard seconds >= 0 else { return nil }
            self = .seconds(min(seconds, 1 << 32))
            return
        }
        guard let date = Timestamp(httpDate: text) else { return nil }
        self = max(.zero, date - now)
    }
}

extension Timestamp {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that HTTP dates are written in.
    init?(httpDate text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT",
            let month = Self.months.firstIndex(of: String(parts[2]))
        else { return nil }
        let number = month + 1 < 10 ? "0\(month + 1)" : "\(month + 1)"
        self.init("\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
    }
}
