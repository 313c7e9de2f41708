import Crypto
import Domain
import EventLog
import HTTPTypes
import Hummingbird
import JSON

/// Managed experiments as flags, for OpenFeature's SDKs: its Remote Evaluation Protocol 0.3.
///
/// A flag's value is the ID of the subject's variant; where there is none the value is left out,
/// which tells the client to take the default that its code gives.
extension API {
    func addFlagRoutes(to router: Router<APIContext>) {
        router.post("/ofrep/v1/evaluate/flags/:key") { request, context in
            _ = try authorize(request, .reader)
            let raw = context.parameters.get("key") ?? ""
            let key = String(percentEncoded: raw) ?? raw
            return try await failing(of: key) { try await evaluate(key, request) }
        }
        router.post("/ofrep/v1/evaluate/flags") { request, context in
            _ = try authorize(request, .reader)
            return try await failing(of: nil) { try await evaluateAll(request) }
        }
    }

    private func evaluate(_ key: String, _ request: Request) async throws -> Response {
        let body = try await request.bytes()
        let asked = try FlagContext(body)
        let actor = try authorize(request, asked.assign ? .assigner : .reader)
        guard let id = ResourceID(key), let experiment = log.view.snapshot.state.experiments[id]
        else { throw FlagFailure.unknownFlag(key) }
        guard let subject = asked.subject else {
            guard let answer = experiment.answerToAnyone else { throw FlagFailure.noTargetingKey }
            return Response(json: Self.flag([answer]))
        }
        guard asked.assign else {
            let (answers, position) = try await log.assignments([(id, subject)])
            return Response(json: Self.flag(answers), at: position)
        }
        let context = try request.context(actor, body: body) { Self.flag($0.assignments).bytes }
        let receipt = try await log.assign(id, [subject], context: context)
        if let answer = receipt.replayedAnswer { return .replayed(answer) }
        return Response(json: Self.flag(receipt.assignments))
    }

    /// Every experiment that has variants to give, for one subject.
    private func evaluateAll(_ request: Request) async throws -> Response {
        let body = try await request.bytes()
        let asked = try FlagContext(body)
        let actor = try authorize(request, asked.assign ? .assigner : .reader)
        let experiments = log.view.snapshot.state.experiments.values
            .filter { $0.status == .active || $0.status == .winnerDeclared }
            .sorted { $0.id < $1.id }
        guard let subject = asked.subject else {
            let flags = Self.flags(
                experiments.compactMap(\.answerToAnyone),
                withoutAnswer: experiments.filter { $0.answerToAnyone == nil }.map(\.id))
            return Response(json: flags).tagged(flags.bytes, for: request)
        }
        guard experiments.count <= Limits.batchLengthMax else {
            throw FlagFailure(
                .general, "More than \(Limits.batchLengthMax) experiments; ask for each by its key."
            )
        }
        let context = try request.context(actor, body: body) { Self.flags($0.assignments).bytes }
        if context.idempotency == nil {
            // Most who ask poll: what they have is read without troubling the sequencer.
            let (answers, position) = try await log.assignments(
                experiments.map { ($0.id, subject) })
            if !asked.assign || !answers.contains(where: { $0.reason == .notAssigned }) {
                let flags = Self.flags(answers)
                return Response(json: flags, at: position).tagged(flags.bytes, for: request)
            }
        }
        let receipt = try await log.assign(
            subject, in: experiments.map(\.id), context: context)
        if let answer = receipt.replayedAnswer {
            return Response.replayed(answer).tagged(answer, for: request)
        }
        let flags = Self.flags(receipt.assignments)
        return Response(json: flags).tagged(flags.bytes, for: request)
    }

    /// Does what may fail, and says a fault of the request's as the protocol does.
    private func failing(
        of key: String?, _ body: () async throws -> Response
    ) async throws -> Response {
        do { return try await body() } catch {
            guard let failure = FlagFailure(error) else { throw error }
            var writer = JSONWriter()
            writer.failure(failure, of: key)
            return Response(status: failure.status, json: writer)
        }
    }

    // MARK: Answers

    private static func flag(_ answers: [AssignmentAnswer]) -> JSONWriter {
        var writer = JSONWriter()
        for answer in answers { writer.flag(answer) }
        return writer
    }

    /// - Parameter withoutAnswer: Experiments that can't be evaluated without a targeting key.
    private static func flags(
        _ answers: [AssignmentAnswer], withoutAnswer: [ResourceID] = []
    ) -> JSONWriter {
        // An experiment may have ended since it was chosen.
        let answers = answers.filter { $0.flagReason != .disabled }.map { answer in
            // What was drawn just now is there already the next time, and the tag says the same.
            var answer = answer
            if answer.reason == .new { answer.reason = .existing }
            return answer
        }
        return json { writer in
            writer.key("flags")
            writer.beginArray()
            for answer in answers { writer.flag(answer) }
            for id in withoutAnswer { writer.failure(.noTargetingKey, of: id.text) }
            writer.endArray()
            writer.key("metadata")
            writer.beginObject()
            writer.key("position")
            writer.integer(answers.compactMap(\.flagPosition).max() ?? 0)
            writer.endObject()
        }
    }
}

/// Why a flag has the value it has, in OpenFeature's words.
private enum FlagReason: String {
    case split = "SPLIT"
    case `static` = "STATIC"
    case `default` = "DEFAULT"
    case disabled = "DISABLED"
}

extension AssignmentAnswer {
    fileprivate var flagReason: FlagReason {
        switch reason {
        case .new, .existing: .split
        case .winner: .static
        case .notAssigned: .default
        case .notActive, .ended, .archived, .notFound: .disabled
        }
    }

    /// Nil where it would be that of the log's last event, which says nothing of the flag.
    fileprivate var flagPosition: Int64? { reason == .notAssigned ? nil : position }
}

extension Experiment {
    /// What everyone gets, whoever asks; nil where a variant is the subject's own.
    fileprivate var answerToAnyone: AssignmentAnswer? { answer(to: "", existing: nil) }
}

extension JSONWriter {
    fileprivate mutating func flag(_ answer: AssignmentAnswer) {
        beginObject()
        key("key")
        string(answer.experiment.text)
        if let variant = answer.variant {
            key("value")
            string(variant)
        }
        key("reason")
        string(answer.flagReason.rawValue)
        // Never left out: not every client does without.
        key("variant")
        string(answer.variant ?? "")
        key("metadata")
        beginObject()
        if let cohort = answer.cohort {
            key("cohort")
            integer(cohort)
        }
        if let position = answer.flagPosition {
            key("position")
            integer(position)
        }
        key("reason")
        string(answer.reason.rawValue)
        endObject()
        endObject()
    }

    fileprivate mutating func failure(_ failure: FlagFailure, of flag: String?) {
        beginObject()
        if let flag {
            key("key")
            string(flag)
        }
        key("errorCode")
        string(failure.code.rawValue)
        key("errorDetails")
        string(failure.details)
        endObject()
    }
}

extension Response {
    /// The same under an entity tag of its body, or 304 for a client that has just that.
    fileprivate func tagged(_ body: [UInt8], for request: Request) -> Response {
        let tag = "\"\(Digest(SHA256.hash(data: body)))\""
        let known: [String] = request.headers[values: .ifNoneMatch].flatMap { value in
            value.split { $0 == "," || $0 == " " }.map(String.init)
        }
        let matches = known.contains { ["*", tag, "W/\(tag)"].contains($0) }
        var response = matches ? Response(status: .notModified) : self
        response.headers[.eTag] = tag
        return response
    }
}

/// The body `{"context":{"targetingKey":…,"assign":true,…}}`; what else the context says is the
/// application's own.
private struct FlagContext {
    /// The targeting key; nil also where it is empty, as SDKs leave it for want of one.
    var subject: String?
    var assign = true

    init(_ bytes: [UInt8]) throws(FlagFailure) {
        let body: JSONValue
        do throws(JSONError) { body = try JSONValue.parse(bytes) } catch {
            throw FlagFailure(.parseError, "The body is not valid JSON: \(error).")
        }
        guard body.object != nil else {
            throw FlagFailure(.parseError, "The body is an object with the member context.")
        }
        guard let context = body["context"], !context.isNull else { return }
        guard context.object != nil else {
            throw FlagFailure(.invalidContext, "The context is an object.")
        }
        if let key = context["targetingKey"], !key.isNull {
            guard let text = key.string else {
                throw FlagFailure(.invalidContext, "The targetingKey is a string.")
            }
            subject = text.isEmpty ? nil : text
        }
        if let wish = context["assign"], !wish.isNull {
            guard let flag = wish.bool else {
                throw FlagFailure(.invalidContext, "assign is true or false.")
            }
            assign = flag
        }
    }
}

/// Why a flag was not evaluated.
private struct FlagFailure: Error {
    enum Code: String {
        case parseError = "PARSE_ERROR"
        case targetingKeyMissing = "TARGETING_KEY_MISSING"
        case invalidContext = "INVALID_CONTEXT"
        case flagNotFound = "FLAG_NOT_FOUND"
        case general = "GENERAL"
    }

    let code: Code
    let details: String

    static let noTargetingKey = FlagFailure(
        .targetingKeyMissing,
        "The experiment gives each subject a variant; name the subject as targetingKey.")

    static func unknownFlag(_ key: String) -> FlagFailure {
        FlagFailure(.flagNotFound, "There is no experiment \(key.prefix(140)).")
    }

    init(_ code: Code, _ details: String) {
        self.code = code
        self.details = details
    }

    /// Nil for what is no fault of the request's content: other routes say it the same way.
    init?(_ error: any Error) {
        if let failure = error as? FlagFailure {
            self = failure
            return
        }
        let problem = HTTPProblem(error)
        switch (problem.status, problem.type) {
        case (.unprocessableContent, Refusal.Kind.invalid.rawValue):
            self.init(.invalidContext, problem.detail)
        case (.badRequest, _), (.unprocessableContent, _): self.init(.general, problem.detail)
        default: return nil
        }
    }

    var status: HTTPResponse.Status { code == .flagNotFound ? .notFound : .badRequest }
}
