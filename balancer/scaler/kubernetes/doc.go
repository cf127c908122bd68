// Package kubernetes is a scaler's driver whose servers are the pods of a Deployment
// or a StatefulSet. It sets how many replicas there are by the subresource "scale", and asks
// for the pods; that takes four REST calls, so there is no client library here.
//
// A server's name is its pod's, which is the pod's host name too. Of a StatefulSet
// only the pod with the highest ordinal can be removed, which Machine.Rank says. Of a
// Deployment Kubernetes chooses the pod; we make its choice by the annotation
// controller.kubernetes.io/pod-deletion-cost. It removes pods that are not ready before it looks
// at that, and the scaler removes none while one is starting.
//
// What must hold here: the number of replicas is changed only as it was read, by its
// resourceVersion, so that two changes at a time do not undo each other; the token is
// read again for every call, as Kubernetes renews it, and is in no error.
package kubernetes
