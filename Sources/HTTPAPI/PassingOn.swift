import Curl
import Domain
import EventLog
import HTTPTypes
import Hummingbird
import JSON
import NIOCore

/// Passes on what only the leader can do.
///
/// A node that does not lead tries every request itself first: reads, and whoever has a variant
/// already, are answered here. What it refuses, or can't do without appending, goes to the leader,
/// who knows more. While nobody leads it waits, as long as a change of leader takes.
struct PassingOn: Sendable {
    let log: EventLog
    let client: LeaderClient

    /// How long a request waits for someone who leads.
    private static let patience = Duration.seconds(Limits.leaderPatienceSeconds)
    private static let retryInterval = Duration.milliseconds(50)

    init(log: EventLog) {
        self.log = log
        client = LeaderClient { [view = log.view, sequencer = log.sequencer] in
            sequencer.isLeading ? nil : view.leader
        }
    }

    /// Answers a request by `answerHere`, or by the leader.
    func answer(
        _ request: Request, _ requestID: String, answerHere: (Request) async throws -> Response
    ) async throws -> Response {
        var request = request
        let isRead = request.method == .get || request.method == .head
        let isPassedOn = request.headers[.ledgerForwarded] != nil
        if !isRead { request.body = .init(buffer: try await request.wholeBody()) }
        while true {
            let isLeading = log.isLeading
            do {
                return try await answerHere(request)
            } catch let error where !isPassedOn && Self.mayKnowMore(error, isRead, isLeading) {
                // The leader gives the answer, be it the same.
            }
            if let answer = try await pass(request, requestID) { return answer }
        }
    }

    /// Whether the leader may answer what was refused here.
    private static func mayKnowMore(_ error: any Error, _ isRead: Bool, _ isLeading: Bool) -> Bool {
        switch error {
        case SequencerError.notLeading, SequencerError.stopping: return true
        default: break
        }
        if let problem = error as? HTTPProblem, problem.type == HTTPProblem.noWebhooks.type {
            return !isLeading
        }
        return !isLeading && !isRead
    }

    /// The leader's answer; nil as soon as this node leads itself.
    private func pass(_ request: Request, _ requestID: String) async throws -> Response? {
        let passed = LeaderClient.Passed(
            method: request.method.rawValue, target: request.uri.string,
            headers: request.headersToPass(requestID), body: try await request.bytes())
        let deadline = ContinuousClock.now + Self.patience
        var mayBeDone = false
        while !log.isLeading {
            if let leader = log.view.leader {
                let outcome = await client.send(passed, to: leader)
                if let answer = outcome.response { return answer }
                mayBeDone = mayBeDone || outcome.wasSent && outcome.status == 0
                if mayBeDone, !request.isRepeatable { throw HTTPProblem.leaderLost }
            }
            guard ContinuousClock.now < deadline, !log.view.isClosing else {
                throw mayBeDone ? HTTPProblem.leaderLost : HTTPProblem.noLeader
            }
            try await Task.sleep(for: Self.retryInterval)
        }
        return nil
    }
}

extension Outcome {
    /// What the leader said; nil where nobody has said anything, or one that leads no more.
    fileprivate var response: Response? {
        guard error == nil, let head, status != 0 else { return nil }
        if status == 503, HTTPProblem.isFromNoLeader(bodyStart) { return nil }
        var headers = HTTPFields()
        for (name, value) in head.headers where !Self.isOfConnection(name) {
            guard let name = HTTPField.Name(name) else { continue }
            headers.append(HTTPField(name: name, value: value))
        }
        return Response(
            status: .init(code: status), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bodyStart)))
    }

    private static func isOfConnection(_ name: String) -> Bool {
        ["connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"]
            .contains(name.lowercased())
    }
}

extension Request {
    /// The body in one piece; larger than the limit is a 413.
    fileprivate func wholeBody() async throws -> ByteBuffer {
        do {
            return try await body.collect(upTo: Limits.requestBodyBytesMax)
        } catch is NIOTooManyBytesError { throw HTTPProblem.bodyTooLarge }
    }

    fileprivate func headersToPass(_ requestID: String) -> [Header] {
        var passed = [
            Header(HTTPField.Name.ledgerForwarded.rawName, "1"),
            Header(HTTPField.Name.requestID.rawName, requestID),
        ]
        for field in headers where !Self.isOfConnection(field.name) && field.name != .requestID {
            passed.append(Header(field.name.rawName, field.value))
        }
        return passed
    }

    private static func isOfConnection(_ name: HTTPField.Name) -> Bool {
        [.connection, .contentLength, .transferEncoding, .expect, .te, .upgrade].contains(name)
    }

    /// Whether doing it twice is the same as doing it once.
    fileprivate var isRepeatable: Bool {
        if headers[.idempotencyKey] != nil || method == .get || method == .head { return true }
        let path = uri.path
        // Each gets or makes a variant, and a second time gets it.
        return path.hasSuffix("assignments") || path == "/v1/selections"
            || path.hasPrefix("/ofrep/")
    }
}

extension HTTPProblem {
    /// Whether an answer is that of a node that leads no more, or is about to: nothing was recorded.
    static func isFromNoLeader(_ body: [UInt8]) -> Bool {
        let type = (try? JSONValue.parse(body))?["type"]?.string
        return ["not-leading", "stopping"].contains { type == "urn:ledger:problem:\($0)" }
    }

    static let noLeader = unavailable(
        "no-leader", "No node leads now",
        "Nothing was recorded. One of the nodes takes over in a few seconds; try again.")

    static let leaderLost = unavailable(
        "outcome-unknown", "It is not known whether this was recorded",
        "The node that leads was lost while it worked on this. Send the request again with the same "
            + "Idempotency-Key, or read what is recorded first.")
}
