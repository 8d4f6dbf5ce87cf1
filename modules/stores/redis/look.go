package redis

import (
	"context"
	"errors"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// look is a search for an answer: in the first level when it begins, then in Redis.
type look struct {
	answers *Answers
	key     gateway.AnswerKey
	name    string
	answer  *gateway.Answer // what the first level has

	level   *level
	changes uint64
	get     *goredis.StringCmd // where another's round trip takes it along
}

func (a *Answers) look(ctx context.Context, key gateway.AnswerKey) look {
	level := a.level.Load()
	if answer := level.answer(ctx, key); answer != nil && a.now().Before(answer.Expires) {
		return look{answer: answer}
	}
	a.watch()
	return look{answers: a, key: key, name: answerName(key), level: level, changes: level.changes(key)}
}

// command is what asks Redis; nil where there is nothing to look for.
func (l *look) command(ctx context.Context) goredis.Cmder {
	if l == nil {
		return nil
	}
	l.get = goredis.NewStringCmd(ctx, "get", l.name)
	return l.get
}

// found is what the command brought; looked is false where Redis has not told.
func (l *look) found(ctx context.Context) (answer *gateway.Answer, looked bool) {
	frame, err := l.get.Bytes()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, false
	}
	answer, err = l.answers.read(ctx, l.key, l.name, frame, err)
	return l.keep(ctx, answer), err == nil
}

// keep puts what Redis has into the first level, where that is told of its changes. What is not fresh is nothing.
func (l *look) keep(ctx context.Context, answer *gateway.Answer) *gateway.Answer {
	if answer == nil || !l.answers.now().Before(answer.Expires) {
		return nil
	}
	if l.level != nil && l.level.watches.of(ctx, l.name) != nil {
		l.level.keep(ctx, l.key, l.changes, answer)
	}
	return answer
}
