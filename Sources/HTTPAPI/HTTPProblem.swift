import Domain
import EventLog
import HTTPTypes
import Hummingbird
import JSON
import Postgres
import Secrets
import Webhooks

/// An error as the client sees it: RFC 9457 `application/problem+json`.
struct HTTPProblem: Error, Sendable {
    let status: HTTPResponse.Status
    /// Stable; `urn:ledger:problem:` and this is the problem's `type`.
    let type: String
    let title: String
    /// What happened, and what to do.
    let detail: String
    var problems: [Problem] = []
    var actualVersion: Int64?
    var retryAfterSeconds: Int?

    init(
        _ status: HTTPResponse.Status, _ type: String, _ title: String, _ detail: String,
        problems: [Problem] = []
    ) {
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.problems = problems
    }

    var response: Response {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("type")
        writer.string("urn:ledger:problem:\(type)")
        writer.key("title")
        writer.string(title)
        writer.key("status")
        writer.integer(status.code)
        writer.key("detail")
        writer.string(detail)
        if let actualVersion {
            writer.key("actualVersion")
            writer.integer(actualVersion)
        }
        if !problems.isEmpty {
            writer.key("errors")
            writer.beginArray()
            for problem in problems {
                writer.beginObject()
                writer.key("pointer")
                writer.string(problem.pointer)
                writer.key("detail")
                writer.string(problem.detail)
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
        var response = Response(status: status, json: writer, type: .problemJSON)
        if let retryAfterSeconds { response.headers[.retryAfter] = "\(retryAfterSeconds)" }
        if status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}

// MARK: Problems of the request itself

extension HTTPProblem {
    static func malformed(_ detail: String, pointer: String = "") -> HTTPProblem {
        HTTPProblem(
            .badRequest, "malformed-request", "The request can't be read", detail,
            problems: pointer.isEmpty ? [] : [Problem(pointer, detail)])
    }

    /// Refuses a list of nothing, and one that is too long.
    static func refuse(count: Int, of what: String) throws {
        guard (1...Limits.batchLengthMax).contains(count) else {
            throw malformed("Send 1 to \(Limits.batchLengthMax) \(what), not \(count).")
        }
    }

    static func parameter(_ name: String, _ detail: String) -> HTTPProblem {
        HTTPProblem(
            .badRequest, "malformed-parameter", "A parameter can't be used", "\(name): \(detail)")
    }

    static func notFound(_ detail: String) -> HTTPProblem {
        HTTPProblem(.notFound, "not-found", "Not found", detail)
    }

    static func noRoute(_ request: Request) -> HTTPProblem {
        notFound(
            "Nothing answers \(request.method) \(request.uri.path). schema/openapi.yaml lists what "
                + "does.")
    }

    static let bodyTooLarge = HTTPProblem(
        .contentTooLarge, "body-too-large", "The body is too large",
        "A body has at most \(Limits.requestBodyBytesMax) bytes; send it in parts.")

    static let noKey = HTTPProblem(
        .unauthorized, "unauthorized", "No key",
        "Send Authorization: Bearer KEY. An admin makes keys with ledger keys create.")

    static let crossOrigin = HTTPProblem(
        .forbidden, "forbidden", "A web page can't ask without a key",
        "Without a key only programs on this machine are served, under a loopback name and not from "
            + "a page of another origin. Send Authorization: Bearer KEY.")

    static let wrongKey = HTTPProblem(
        .unauthorized, "unauthorized", "The key is not valid",
        "The key is unknown or revoked; an admin sees which exist with ledger keys list.")

    static func forbidden(_ role: Role, _ needed: Role) -> HTTPProblem {
        HTTPProblem(
            .forbidden, "forbidden", "The key's role does not allow this",
            "This needs a key of role \(needed.rawValue); this one is \(role.rawValue).")
    }
}

// MARK: Problems from elsewhere

extension HTTPProblem {
    /// Any error, as its client should see it.
    init(_ error: any Error) {
        switch error {
        case let problem as HTTPProblem: self = problem
        case let refusal as Refusal: self.init(refusal)
        case let error as SequencerError: self.init(error)
        case let error as JSONError: self = .malformed("The body is not valid JSON: \(error).")
        case let error as PostgresError: self = .unavailable(error)
        case let error as SecretBoxError:
            self = .unavailable(
                "secrets-unavailable", "The secrets of webhooks can't be used", "\(error)")
        case let error as NotaryError:
            self = .unavailable(
                "checkpoint-unavailable", "No checkpoint can be signed", "Now \(error).")
        case let error as SubjectKeysError:
            self = .unavailable(
                error == .beingErased
                    ? Refusal.Kind.staleSeal.rawValue : "sealed-subjects-unavailable",
                error == .beingErased
                    ? "A subject is being erased" : "Sealed subjects can't be told apart here",
                "\(error)")
        default:
            self.init(
                .internalServerError, "internal", "Something went wrong in the ledger",
                "The log has the details under this request's X-Request-ID.")
        }
    }

    private init(_ refusal: Refusal) {
        let (status, title): (HTTPResponse.Status, String) =
            switch refusal.kind {
            case .invalid: (.unprocessableContent, "The request breaks a rule")
            case .notFound: (.notFound, "Not found")
            case .conflict: (.conflict, "The request contradicts what is recorded")
            case .versionMismatch: (.conflict, "The stream is at another version")
            case .preconditionFailed: (.preconditionFailed, "The resource has changed")
            case .keyReused: (.unprocessableContent, "The key was used for another request")
            case .staleSeal: (.serviceUnavailable, "A subject is being erased")
            }
        self.init(
            status, refusal.kind.rawValue, title, refusal.detail, problems: refusal.problems)
        actualVersion = refusal.actualVersion
        if refusal.kind == .staleSeal { retryAfterSeconds = 1 }
    }

    private init(_ error: SequencerError) {
        switch error {
        case .refused(let refusal): self.init(refusal)
        case .busy:
            self = .unavailable(
                "busy", "The ledger is busy", "Nothing was recorded; try again in a moment.")
        case .stopping:
            self = .unavailable(
                "stopping", "The ledger is shutting down", "Nothing was recorded; try again.")
        case .unavailable:
            self = .unavailable(
                "database-unavailable", "The database can't be reached",
                "Nothing was recorded; try again in a moment.")
        case .notLeading:
            self = .unavailable(
                "not-leading", "This node does not lead",
                "Nothing was recorded. Another node writes to this database; send it there, or "
                    + "restart this one.")
        case .failed:
            self = .unavailable(
                "commit-failed", "The database refused the commit",
                "Nothing was recorded; the ledger's log says why.")
        case .outcomeUnknown:
            self = .unavailable(
                "outcome-unknown", "It is not known whether this was recorded",
                "The database was lost while it committed. Send the request again with the same "
                    + "Idempotency-Key, or read what is recorded first.")
        }
    }

    static let noWebhooks = unavailable(
        "no-webhooks", "This node has no webhooks",
        "Webhooks are managed on the node that delivers them.")

    static func unavailable(_ type: String, _ title: String, _ detail: String) -> HTTPProblem {
        var problem = HTTPProblem(.serviceUnavailable, type, title, detail)
        problem.retryAfterSeconds = 1
        return problem
    }

    private static func unavailable(_ error: PostgresError) -> HTTPProblem {
        unavailable(
            "database-unavailable", "The database did not answer",
            "Reading from PostgreSQL failed; try again in a moment.")
    }
}

/// Does what may be refused, and puts the pointers of a refusal under `prefix`.
func pointing<Result>(
    under prefix: String, _ body: () async throws -> Result
) async throws -> Result {
    try await pointing(at: { prefix + $0 }, body)
}

/// Does what may be refused, and leads the pointers of a refusal through `place`.
func pointing<Result>(
    at place: (String) -> String, _ body: () async throws -> Result
) async throws -> Result {
    do { return try await body() } catch {
        var refusal: Refusal
        switch error {
        case let refused as Refusal: refusal = refused
        case SequencerError.refused(let refused): refusal = refused
        default: throw error
        }
        refusal.problems = refusal.problems.map { Problem(place($0.pointer), $0.detail) }
        throw refusal
    }
}
