package dialect

// Missing is the error of a request that lacks a field. then says what the field is for.
func Missing(field, then string) *Error {
	err := Errorf(InvalidRequest, "%s is missing, %s", field, then)
	err.Field, err.Code = field, "missing_required_parameter"
	return err
}

// Mistyped is the error of a field that is not what its dialect has there.
func Mistyped(field, want string) *Error {
	err := Errorf(InvalidRequest, "%s must be %s", field, want)
	err.Field, err.Code = field, "invalid_type"
	return err
}

// Unreadable is the error of a provider's answer that is not what its dialect has.
func Unreadable(cause error) *Error {
	return &Error{Kind: UpstreamFailed, Message: "the provider's answer cannot be read", Retryable: true, Cause: cause}
}

// BrokenOff is the error of a stream that ended before the answer did.
func BrokenOff() *Error {
	return &Error{Kind: UpstreamFailed, Message: "the provider's answer broke off before its end"}
}
