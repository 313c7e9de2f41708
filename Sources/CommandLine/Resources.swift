import Curl

/// A resource as the server shows it.
struct Resource: Decodable {
    struct Metadata: Decodable {
        var id: String
        var name: String?
        var description: String?
        var status: String
        var resourceVersion: Int?
        var parentId: String?
        var createdAt: String?
        var updatedAt: String?
    }

    struct Specification: Decodable {
        var subjectType: String?
        var sealed: Bool?
        var hypothesis: String?
        var links: [String: String]?
        var winningVariant: String?
        var endedReason: String?
        var variants: [Variant]?
        var cohorts: [Cohort]?
    }

    struct Variant: Decodable {
        var id: String
        var isControl: Bool?
        var name: String?
        var description: String?
    }

    struct Cohort: Decodable {
        struct Part: Decodable {
            var variant: String
            var split: Double
        }

        var index: Int
        var createdAt: String?
        var variants: [Part]
    }

    var kind: String
    var metadata: Metadata
    var spec: Specification?
}

/// One page of a list, and where the next one begins.
struct Page<Item: Decodable>: Decodable {
    var items: [Item]
    var next: String?
    var position: Int?
}

extension Client {
    /// What one page of a list may hold.
    static let pageItemsMax = 1000

    /// Follows a list to its end, or to `limit` items; each page is given as it came and read.
    func pages<Item: Decodable>(
        of type: Item.Type,
        _ path: [String],
        query: [(String, String?)] = [],
        limit: Int?,
        onPage: (Response, Page<Item>) throws -> Void
    ) throws {
        var left = limit ?? .max
        var cursor: String?
        repeat {
            let size = limit.map { _ in String(min(left, Self.pageItemsMax)) }
            let page = query + [("limit", size), ("cursor", cursor)]
            let response = try send("GET", path, Details(query: page))
            var answer = try ServerJSON.decode(Page<Item>.self, from: response.body)
            answer.items = Array(answer.items.prefix(left))
            try onPage(response, answer)
            left -= answer.items.count
            cursor = answer.next
        } while cursor != nil && left > 0
    }
}
