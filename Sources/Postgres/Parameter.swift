import CPostgres

/// One parameter of a statement, sent in binary with its type.
package enum Parameter: Sendable {
    case null
    case bool(Bool)
    case int32(Int32)
    case int64(Int64)
    case double(Double)
    case text(String)
    /// A `bytea`.
    case bytes([UInt8])
    /// UTF-8 text of type `json`.
    case json([UInt8])
    /// 16 bytes.
    case uuid([UInt8])
    /// A `timestamptz`, in microseconds since the Unix epoch.
    case timestamp(microseconds: Int64)
    case array(BinaryArray)

    /// The type sent in Parse; 0 leaves the choice to PostgreSQL.
    var type: Oid {
        switch self {
        case .null: 0
        case .bool: TypeOID.bool
        case .int32: TypeOID.int4
        case .int64: TypeOID.int8
        case .double: TypeOID.float8
        case .text: TypeOID.text
        case .bytes: TypeOID.bytea
        case .json: TypeOID.json
        case .uuid: TypeOID.uuid
        case .timestamp: TypeOID.timestamptz
        case .array(let array): array.element.arrayType
        }
    }

    var size: Int {
        switch self {
        case .null: 0
        case .bool: 1
        case .int32: 4
        case .int64, .double, .timestamp: 8
        case .text(let text): text.utf8.count
        case .bytes(let bytes), .json(let bytes), .uuid(let bytes): bytes.count
        case .array(let array): array.buffer.count
        }
    }
}

/// An SQL statement and its parameters.
package struct Statement: Sendable {
    package var sql: String
    package var parameters: [Parameter]

    package init(_ sql: String, _ parameters: [Parameter] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    package init(sql: String, parameters: [Parameter] = []) {
        self.init(sql, parameters)
    }
}

/// Object identifiers of the built-in types this module writes; they never change.
enum TypeOID {
    static let bool: Oid = 16
    static let bytea: Oid = 17
    static let int8: Oid = 20
    static let int4: Oid = 23
    static let text: Oid = 25
    static let json: Oid = 114
    static let float8: Oid = 701
    static let timestamptz: Oid = 1184
    static let uuid: Oid = 2950
    static let jsonb: Oid = 3802

    static let jsonArray: Oid = 199
    static let boolArray: Oid = 1000
    static let byteaArray: Oid = 1001
    static let int4Array: Oid = 1007
    static let textArray: Oid = 1009
    static let int8Array: Oid = 1016
    static let float8Array: Oid = 1022
    static let timestamptzArray: Oid = 1185
    static let uuidArray: Oid = 2951
}
